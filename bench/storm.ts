/** Token checks while more logins come than can be hashed: what the one crowd does to the other. */
import { setTimeout as sleep } from 'node:timers/promises'
import { progress } from '../dev/process.ts'
import { createClient, timeOnce, timingOf, type Answer, type Client, type Timing } from './client.ts'
import { inLanes } from './lanes.ts'
import { password, register } from './people.ts'
import { openSession, type LocalServices, type Stage } from './stage.ts'
import { spreadOf, type Spread } from './statistics.ts'

/** What was asked at a constant rate in one phase. */
interface Steady {
  check: Timing
  live: Timing
  ready: Timing
}

export interface StormFigures {
  rounds: number
  phaseSeconds: number
  checksPerSecond: number
  loginsPerSecond: number
  burst: number
  idle: Steady
  storm: Steady
  /** The p99 of the check in the storm, in p99s of the calm before it, round by round. */
  p99Ratio: Spread
  logins: {
    /** 200, and how long that took. */
    let: Timing
    letPerSecond: number
    /** 503, and how long that took. */
    refused: Timing | null
    refusedWithoutRetryAfter: number
  }
}

const rounds = 3
const checksPerSecond = 200
const healthPerSecond = 10
/** Some four times what two cores hash; what comes first fills the line at one blow. */
const loginsPerSecond = 200
const burst = 200
const peopleCount = 64
const tokenCount = 400
const registerLanes = 4

/**
 * Asks at a constant rate, whether or not there was an answer (open loop), in turn without and with a storm of logins.
 *
 * The process has all cores, as in production, and so have the stores and this client: whoever hashes takes them from
 * all others.
 *
 * @param phaseSeconds how long each of the six phases lasts
 * @throws Error when a check is not answered 200, or a login neither 200 nor 503
 */
export async function measureStorm(
  stage: Stage,
  services: LocalServices,
  { phaseSeconds }: { phaseSeconds: number },
): Promise<StormFigures> {
  const { signal } = stage
  const { url } = await stage.startLatchkey('latchkey-storm', {}, { pinned: false })
  const [checker, crowd] = [createClient(url), createClient(url)]
  try {
    progress(`storm: registering ${peopleCount} people`)
    const people = await inLanes(peopleCount, registerLanes, () => register(crowd))
    const tokens = await inLanes(tokenCount, registerLanes, async () => (await openSession(services)).pair.accessToken)
    const watch = () => watchFor({ client: checker, tokens, seconds: phaseSeconds, signal })
    await watchFor({ client: checker, tokens, seconds: Math.min(3, phaseSeconds), signal }) // warms up

    const phases: { idle: Sample; storm: Sample; answers: TimedAnswer[] }[] = []
    for (let round = 0; round < rounds; round++) {
      const idle = await watch()
      const logins = logInFor({ client: crowd, emails: people.map(({ email }) => email), phaseSeconds, signal })
      const storm = await watch()
      phases.push({ idle, storm, answers: await logins })
      progress(
        `storm: round ${round + 1} of ${rounds}: p99 of the check ${p99Of(idle.check).toFixed(1)} ms, ` +
          `in the storm ${p99Of(storm.check).toFixed(1)} ms`,
      )
    }
    const answers = phases.flatMap((phase) => phase.answers)
    const timesOf = (status: number) => answers.filter((one) => one.status === status).map(({ ms }) => ms)
    const refused = answers.filter(({ status }) => status === 503)
    return {
      rounds,
      phaseSeconds,
      checksPerSecond,
      loginsPerSecond,
      burst,
      idle: steadyOf(phases.map(({ idle }) => idle)),
      storm: steadyOf(phases.map(({ storm }) => storm)),
      p99Ratio: spreadOf(phases.map(({ idle, storm }) => p99Of(storm.check) / p99Of(idle.check))),
      logins: {
        let: timingOf(timesOf(200)),
        letPerSecond: timesOf(200).length / (rounds * phaseSeconds),
        refused: refused.length > 0 ? timingOf(timesOf(503)) : null,
        refusedWithoutRetryAfter: refused.filter(({ headers }) => !(Number(headers['retry-after']) >= 1)).length,
      },
    }
  } finally {
    checker.close()
    crowd.close()
  }
}

/** Latencies in milliseconds. */
type Sample = Record<keyof Steady, number[]>
type TimedAnswer = Answer & { ms: number }

const p99Of = (latenciesMs: number[]) => timingOf(latenciesMs).p99Ms

function steadyOf(samples: Sample[]): Steady {
  const of = (name: keyof Steady) => timingOf(samples.flatMap((sample) => sample[name]))
  return { check: of('check'), live: of('live'), ready: of('ready') }
}

async function watchFor({
  client,
  tokens,
  seconds,
  signal,
}: {
  client: Client
  tokens: string[]
  seconds: number
  signal: AbortSignal
}): Promise<Sample> {
  let turn = 0
  const timed = (path: string, token?: string) =>
    timeOnce(() => client.call('GET', path, { expect: 200, ...(token && { token }) }))
  const [check, live, ready] = await Promise.all([
    atRate(checksPerSecond, seconds, signal, () => timed('/v1/protected', tokens[turn++ % tokens.length])),
    atRate(healthPerSecond, seconds, signal, () => timed('/health/live')),
    atRate(healthPerSecond, seconds, signal, () => timed('/health/ready')),
  ])
  return { check, live, ready }
}

/** Waits for the last answer too, so that no login of it reaches into the calm that follows. */
async function logInFor({
  client,
  emails,
  phaseSeconds,
  signal,
}: {
  client: Client
  emails: string[]
  phaseSeconds: number
  signal: AbortSignal
}): Promise<TimedAnswer[]> {
  let turn = 0
  const logIn = async (): Promise<TimedAnswer> => {
    const body = { email: emails[turn++ % emails.length]!, password }
    const startedAt = performance.now()
    const answer = await client.send('POST', '/v1/auth/login', { body })
    if (answer.status !== 200 && answer.status !== 503) throw new Error(`a login was answered ${answer.status}`)
    return { ...answer, ms: performance.now() - startedAt }
  }
  const first = Array.from({ length: burst }, logIn)
  const later = await atRate(loginsPerSecond, phaseSeconds, signal, logIn)
  return [...(await Promise.all(first)), ...later]
}

/** Begins so many a second, each at its time: a server that stands still is asked on, and its delay is seen whole. */
async function atRate<T>(
  perSecond: number,
  seconds: number,
  signal: AbortSignal,
  begin: () => Promise<T>,
): Promise<T[]> {
  const begun: Promise<T>[] = []
  const startedAt = performance.now()
  while (begun.length < perSecond * seconds) {
    const due = startedAt + (begun.length * 1000) / perSecond
    const early = due - performance.now()
    if (early > 0) await sleep(early, undefined, { signal })
    begun.push(begin())
  }
  return Promise.all(begun)
}
