/** What the token check costs with one process or two, with few sessions in Redis or many, and with many of one user. */
import path from 'node:path'
import { progress } from '../dev/process.ts'
import { provide, type Service } from '../dev/stores.ts'
import { cpuSecondsOf } from './cores.ts'
import { fillSessions } from './fill.ts'
import { load, writeRequests, type Burst } from './load.ts'
import { renew, withBearer } from './rounds.ts'
import { pin, unpin, type Server, type Stage } from './stage.ts'
import { spreadOf, type Spread } from './statistics.ts'

export interface ScaleFigures {
  connections: number
  rounds: number
  seconds: number
  populations: Population[]
  workers: {
    processes: number
    perSecond: Spread
    p50Ms: Spread
    p99Ms: Spread
    /** Throughput relative to one process, round by round. */
    ratio: Spread
  }[]
}

/** A Redis with so many sessions. Processor times are for one check, null where they cannot be read. */
export interface Population {
  sessionCount: number
  sessionsPerUser: number
  redisBytes: number
  perSecond: Spread
  p50Ms: Spread
  cpuUs: Spread | null
  redisCpuUs: Spread | null
  /** Relative to the first population, round by round. */
  toTheFirst: { p50: Spread; cpu: Spread | null; redisCpu: Spread | null }
}

type Sample = Burst & { cpuUs: number | null; redisCpuUs: number | null }

interface Target {
  sessionCount: number
  sessionsPerUser: number
  redis: Service
  redisBytes: number
  latchkey: Server
  requestsFile: string
  samples: Sample[]
}

const smallest = 10_000
const sizes = [smallest, 100_000, 1_000_000, 5_000_000]
const manySessions = 50
const workerCounts = [1, 2]
const warmUpSeconds = 3

/**
 * Gives each number of sessions a Redis and a Latchkey process of its own, and loads these in turn, round after round.
 *
 * So what is compared has met the same machine, as in the token check. Those that are not loaded have nothing to do.
 *
 * @param sessions how many there are in the largest Redis
 */
export async function measureScale(
  stage: Stage,
  asked: { connections: number; rounds: number; seconds: number; sessions: number },
): Promise<ScaleFigures> {
  const { connections, rounds, seconds, sessions } = asked
  const { cores, signal } = stage
  const wrk = await provide('wrk', { signal })
  const counts = [...sizes.filter((size) => size < sessions), sessions]
  const targets: Target[] = []
  // The largest first: its tokens must last until the end.
  for (const sessionCount of counts.toReversed()) targets.unshift(await populate(stage, sessionCount, 1))
  targets.push(await populate(stage, counts[0]!, manySessions))

  const burst = async ({ latchkey, redis, requestsFile }: Target, burstSeconds: number): Promise<Sample> => {
    const before = [latchkey, redis].map(({ pid }) => cpuSecondsOf(pid))
    const url = `${latchkey.url}/v1/protected`
    const one = await load({ wrk, url, requestsFile, connections, seconds: burstSeconds, cores, signal })
    const [cpuUs = null, redisCpuUs = null] = [latchkey, redis].map(({ pid }, i) => {
      const [from, to] = [before[i]!, cpuSecondsOf(pid)]
      return from === null || to === null ? null : ((to - from) * 1e6) / (one.perSecond * burstSeconds)
    })
    return { ...one, cpuUs, redisCpuUs }
  }
  for (let round = 0; round < rounds; round++) {
    await renew(
      round,
      targets.map(({ latchkey }) => latchkey),
      async () => {
        progress('scale: warming up')
        for (const target of targets) await burst(target, warmUpSeconds)
      },
    )
    const at = round % targets.length
    for (const target of [...targets.slice(at), ...targets.slice(0, at)])
      target.samples.push(await burst(target, seconds))
    const rates = targets.map(({ samples }) => Math.round(samples.at(-1)!.perSecond))
    progress(`scale: round ${round + 1} of ${rounds}: ${rates.join(', ')} checks a second`)
  }
  return {
    connections,
    rounds,
    seconds,
    populations: targets.map((target) => populationOf(target, targets[0]!.samples)),
    workers: await compareWorkers(stage, wrk, targets[0]!, asked),
  }
}

async function populate(stage: Stage, sessionCount: number, sessionsPerUser: number): Promise<Target> {
  progress(`scale: ${sessionCount} sessions, ${sessionsPerUser} a user`)
  const name = `${sessionCount}-${sessionsPerUser}`
  const redis = await stage.startFreshRedis()
  const services = await stage.openServices(redis.url)
  const tokenCount = Math.min(smallest, sessionCount)
  const tokens = await fillSessions(stage, services, redis.url, { sessionCount, sessionsPerUser, tokenCount })
  const requestsFile = path.join(stage.dir, `requests-${name}`)
  // In no order that Redis knows of.
  writeRequests(requestsFile, tokens.toSorted().map(withBearer))
  const info = await stage.connectRedis(redis.url).info('memory')
  return {
    sessionCount,
    sessionsPerUser,
    redis,
    redisBytes: Number(/^used_memory:(\d+)/m.exec(info)?.[1]),
    latchkey: await stage.startLatchkey(`latchkey-${name}`, { REDIS_URL: redis.url }),
    requestsFile,
    samples: [],
  }
}

function populationOf({ samples, sessionCount, sessionsPerUser, redisBytes }: Target, first: Sample[]): Population {
  const spread = (of: (sample: Sample, round: number) => number | null) => {
    const values = samples.flatMap((sample, round) => of(sample, round) ?? [])
    return values.length > 0 ? spreadOf(values) : null
  }
  const ratio = (name: 'cpuUs' | 'redisCpuUs') =>
    spread((sample, round) => {
      const [one, other] = [sample[name], first[round]![name]]
      return one === null || other === null ? null : one / other
    })
  return {
    sessionCount,
    sessionsPerUser,
    redisBytes,
    perSecond: spreadOf(samples.map(({ perSecond }) => perSecond)),
    p50Ms: spreadOf(samples.map(({ p50Ms }) => p50Ms)),
    cpuUs: spread(({ cpuUs }) => cpuUs),
    redisCpuUs: spread(({ redisCpuUs }) => redisCpuUs),
    toTheFirst: {
      p50: spreadOf(samples.map(({ p50Ms }, round) => p50Ms / first[round]!.p50Ms)),
      cpu: ratio('cpuUs'),
      redisCpu: ratio('redisCpuUs'),
    },
  }
}

/** One process against two, all of them, Redis and the load on all cores together. */
async function compareWorkers(
  { startLatchkey, cores, signal }: Stage,
  wrk: string,
  { redis, requestsFile }: Target,
  { connections, rounds, seconds }: { connections: number; rounds: number; seconds: number },
): Promise<ScaleFigures['workers']> {
  await unpin(redis.pid, cores)
  const teams: { processes: number; server: Server; bursts: Burst[] }[] = []
  for (const processes of workerCounts) {
    const env = { REDIS_URL: redis.url, WEB_CONCURRENCY: String(processes) }
    const server = await startLatchkey(`latchkey-workers-${processes}`, env, { pinned: false })
    teams.push({ processes, server, bursts: [] })
  }
  const burst = ({ url }: Server, burstSeconds: number) =>
    load({
      wrk,
      url: `${url}/v1/protected`,
      requestsFile,
      connections,
      seconds: burstSeconds,
      cores: null,
      signal,
    })
  for (let round = 0; round < rounds; round++) {
    const servers = teams.map(({ server }) => server)
    await renew(round, servers, async () => {
      for (const server of servers) await burst(server, warmUpSeconds)
    })
    for (const { server, bursts } of round % 2 === 0 ? teams : teams.toReversed())
      bursts.push(await burst(server, seconds))
    const rates = teams.map(({ bursts }) => Math.round(bursts.at(-1)!.perSecond))
    progress(`scale: one process and two, round ${round + 1} of ${rounds}: ${rates.join(', ')} checks a second`)
  }
  if (cores) await pin(redis.pid, cores.rest)
  const [alone] = teams
  return teams.map(({ processes, bursts }) => ({
    processes,
    perSecond: spreadOf(bursts.map(({ perSecond }) => perSecond)),
    p50Ms: spreadOf(bursts.map(({ p50Ms }) => p50Ms)),
    p99Ms: spreadOf(bursts.map(({ p99Ms }) => p99Ms)),
    ratio: spreadOf(bursts.map(({ perSecond }, round) => perSecond / alone!.bursts[round]!.perSecond)),
  }))
}
