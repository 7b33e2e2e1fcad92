/** Whether the time of an answer tells who has an account: the same requests about known and unknown people. */
import { randomUUID } from 'node:crypto'
import { progress } from '../dev/process.ts'
import type { Service } from '../dev/stores.ts'
import { createClient, timeOnce, type Client } from './client.ts'
import { inLanes } from './lanes.ts'
import { unpin, type Stage } from './stage.ts'
import { medianWithin, middleOf, type Middle } from './statistics.ts'

export interface TimingFigures {
  rounds: number
  comparisons: {
    name: string
    knownMs: Middle
    unknownMs: Middle
    /** Of the two in one round, which met the same machine. */
    differenceMs: { median: number; low: number; high: number }
  }[]
}

interface Comparison {
  name: string
  /** The addresses of those who have an account, one for each round: nobody meets a limit. */
  emails: string[]
  ask: (email: string) => Promise<unknown>
  samples: { knownMs: number; unknownMs: number }[]
}

const password = 'correct horse battery staple'
const warmUpRounds = 10
const rounds = 250
const lanes = 4

/**
 * Sends each request once about a known and once about an unknown account in every round, all in random order and one
 * at a time.
 *
 * @param latchkey a process with the default cost of a hash, where nobody has to confirm an address
 */
export async function measureTiming(
  { startLatchkey, cores, signal }: Stage,
  latchkey: Service,
): Promise<TimingFigures> {
  const verifying = await startLatchkey('latchkey-verifying', { REQUIRE_VERIFIED_EMAIL: 'true' })
  const older = await startLatchkey('latchkey-older', { ARGON2_TIME_COST: '1' })
  for (const { pid } of [latchkey, verifying, older]) await unpin(pid, cores)
  const clients = [latchkey, verifying, older].map(({ url }) => createClient(url)) as [Client, Client, Client]
  const [client, verifyingClient, olderClient] = clients
  try {
    const count = warmUpRounds + rounds
    progress(`timing: registering ${2 * count} people`)
    const people = await inLanes(count, lanes, () => register(client))
    const logIn = (email: string) =>
      client.call('POST', '/v1/auth/login', { expect: 401, body: { email, password: 'a wrong one' } })
    const asked: Omit<Comparison, 'samples'>[] = [
      { name: 'login', emails: people, ask: logIn },
      {
        name: 'login, hash of an older cost',
        emails: await inLanes(count, lanes, () => register(olderClient)),
        ask: logIn,
      },
      ...['forgot-password', 'resend-verification'].map((name) => ({
        name,
        emails: people,
        ask: (email: string) => client.call('POST', `/v1/auth/${name}`, { expect: 202, body: { email } }),
      })),
      {
        name: 'register, REQUIRE_VERIFIED_EMAIL',
        emails: people,
        ask: (email: string) =>
          verifyingClient.call('POST', '/v1/auth/register', { expect: 202, body: { email, password } }),
      },
    ]
    const comparisons: Comparison[] = asked.map(({ name, emails, ask }) => ({ name, emails, ask, samples: [] }))

    progress(`timing: ${rounds} rounds`)
    for (let round = 0; round < count; round++) {
      signal.throwIfAborted()
      await askAll(comparisons, round)
    }
    return { rounds, comparisons: comparisons.map(judge) }
  } finally {
    for (const each of clients) each.close()
  }
}

async function register(client: Client): Promise<string> {
  const email = newEmail()
  await client.call('POST', '/v1/auth/register', { expect: 201, body: { email, password } })
  return email
}

/** As long for everybody, known or not. */
const newEmail = () => `bench-${randomUUID()}@example.com`

async function askAll(comparisons: Comparison[], round: number): Promise<void> {
  const requests = comparisons.flatMap(({ emails, ask, samples }) => {
    const sample = { knownMs: 0, unknownMs: 0 }
    samples.push(sample)
    return [
      async () => void (sample.knownMs = await timeOnce(() => ask(emails[round]!))),
      async () => void (sample.unknownMs = await timeOnce(() => ask(newEmail()))),
    ]
  })
  for (const request of shuffled(requests)) await request()
}

function judge({ name, samples }: Comparison): TimingFigures['comparisons'][number] {
  const taken = samples.slice(warmUpRounds)
  return {
    name,
    knownMs: middleOf(taken.map(({ knownMs }) => knownMs)),
    unknownMs: middleOf(taken.map(({ unknownMs }) => unknownMs)),
    differenceMs: medianWithin(taken.map(({ knownMs, unknownMs }) => knownMs - unknownMs)),
  }
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[]): T[] {
  const mixed = [...items]
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[mixed[i], mixed[j]] = [mixed[j]!, mixed[i]!]
  }
  return mixed
}
