import { expect } from 'chai'
import { expectProblem, type Answer, type ApiClient } from './client.ts'
import { eventually } from './eventually.ts'
import { aPerson, type Someone } from './people.ts'
import { seed } from './seed.ts'

/** What the rule promises: an answer within this time, and a service that is well again within the other. */
export const answerMs = 5000
export const recoveryMs = 15_000

const figures: string[] = []

/** Keeps what was seen of a fault, for the summary at the end of the run. */
export function note(row: string, figure: string): void {
  figures.push(`${row}: ${figure}`)
}

/** Says what was seen, one line a fault, and how to have the same choices again. */
export function printFigures(): void {
  if (figures.length > 0) console.log(['', `Figures (FAULT_SEED=${seed})`, ...figures, ''].join('\n'))
}

/** How many were refused, and after how long the last one was. */
export interface Refused {
  count: number
  slowestMs: number
}

export function together(all: Refused[]): Refused {
  return {
    count: all.reduce((sum, { count }) => sum + count, 0),
    slowestMs: Math.max(...all.map(({ slowestMs }) => slowestMs)),
  }
}

export const inWords = ({ count, slowestMs }: Refused) =>
  `${count} requests answered 503, the slowest after ${Math.round(slowestMs)} ms`

/** A request by a name that begins with its route, as it is declared. */
export type NamedRequest = [name: string, ask: () => Promise<Answer>]

/** Expects each to be told in time that the service cannot answer, and nothing of why. */
export async function expectUnavailable(...asked: Promise<Answer>[]): Promise<Refused> {
  return expectAllUnavailable(asked.map((asking, i) => [`request ${i + 1}`, () => asking]))
}

/** Asks all of it at once, and expects the same. */
export async function expectAllUnavailable(requests: NamedRequest[]): Promise<Refused> {
  const startedAt = performance.now()
  const tookMs = await Promise.all(
    requests.map(async ([name, ask]) => {
      const answer = await ask()
      const answeredMs = performance.now() - startedAt
      expect({ name, status: answer.status, text: answer.text }).to.include({ name, status: 503 })
      expect(answeredMs, `milliseconds until the answer to ${name}`).to.be.below(answerMs)
      expectProblem(answer, 503, 'unavailable')
      expect(answer.headers.get('retry-after')).to.match(/^[1-9]\d*$/)
      expect(answer.text).to.not.match(
        /redis|postgres|sql|read.?only|masterdown|clusterdown|loading|replicas|script|busy|auth|OOM|ERR |ECONN|sock|timed? ?out|connections/i,
      )
      return answeredMs
    }),
  )
  return { count: requests.length, slowestMs: Math.max(...tookMs) }
}

export async function expectStatus(asked: Promise<Answer>, ...statuses: number[]): Promise<Answer> {
  const answer = await asked
  expect(answer.status, answer.text).to.be.oneOf(statuses)
  return answer
}

export interface Harm {
  begin: () => unknown
  end: () => unknown
}

/** Looks at the service while a store is harmed, and takes the harm back whatever was seen. */
export async function during<T>({ begin, end }: Harm, observe: () => Promise<T>): Promise<T> {
  try {
    await begin()
    return await observe()
  } finally {
    await end()
  }
}

export const times = <T>(count: number, make: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, i) => make(i)))

/** Waits until the service says so; that it is ready is kept for a second, so the contrary may come that much later. */
export function untilReadyIs(status: 200 | 503, client: ApiClient): Promise<Answer> {
  return eventually(() => expectStatus(client.get('/health/ready'), status), recoveryMs)
}

/** Waits until the service does what needs both stores. */
export function untilItWorks(client: ApiClient): Promise<Someone> {
  return eventually(() => aPerson(client), recoveryMs)
}

export async function msOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return Math.round(performance.now() - startedAt)
}

/** Waits until the service works and calls itself ready; looks meanwhile, as soon as it works. */
export async function expectRecovery(client: ApiClient, look: () => Promise<void>): Promise<string> {
  const working = msOf(() => untilItWorks(client))
  const [worksMs, readyMs] = await Promise.all([working, msOf(() => untilReadyIs(200, client)), working.then(look)])
  return `works again after ${worksMs} ms, says ready after ${readyMs} ms`
}

export function choose<T>(among: readonly T[], draw: () => number): T {
  return among[Math.floor(draw() * among.length)]!
}

export function shuffled<T>(list: readonly T[], draw: () => number): T[] {
  return list
    .map((item) => ({ item, rank: draw() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ item }) => item)
}
