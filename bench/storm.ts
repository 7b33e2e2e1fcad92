/** Token checks while more logins come than can be hashed: what the one crowd does to the other. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { progress } from '../dev/process.ts'
import { createClient, timeOnce, timingOf, type Client, type Timing } from './client.ts'
import type { LoginAnswer, Storm } from './crowd.ts'
import { atRate, inLanes } from './lanes.ts'
import { register } from './people.ts'
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
  const checker = createClient(url)
  const crowd = fork(new URL('./crowd.ts', import.meta.url), { execArgv: ['--import', 'tsx'] })
  const gone = once(crowd, 'exit').then(() => null)
  try {
    progress(`storm: registering ${peopleCount} people`)
    const people = await inLanes(peopleCount, registerLanes, () => register(checker))
    const tokens = await inLanes(tokenCount, registerLanes, async () => (await openSession(services)).pair.accessToken)
    const watch = () => watchFor({ client: checker, tokens, seconds: phaseSeconds, signal })
    await watchFor({ client: checker, tokens, seconds: Math.min(3, phaseSeconds), signal }) // warms up

    const phases: { idle: Sample; storm: Sample; answers: LoginAnswer[] }[] = []
    for (let round = 0; round < rounds; round++) {
      const idle = await watch()
      const answered = Promise.race([once(crowd, 'message', { signal }), gone]) as Promise<[LoginAnswer[]] | null>
      const emails = people.map(({ email }) => email)
      crowd.send({ url, emails, burst, perSecond: loginsPerSecond, seconds: phaseSeconds } satisfies Storm)
      const storm = await watch()
      const said = await answered // by the last of them too, so that no login reaches into the calm that follows
      if (!said) throw new Error('the crowd that logs in has ended; its error is above')
      phases.push({ idle, storm, answers: said[0] })
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
        refusedWithoutRetryAfter: refused.filter(({ hasRetryAfter }) => !hasRetryAfter).length,
      },
    }
  } finally {
    checker.close()
    crowd.kill()
  }
}

/** Latencies in milliseconds. */
type Sample = Record<keyof Steady, number[]>

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
