/** Refresh and logout under full load, between rounds of the bare server with its one GET. */
import fs from 'node:fs'
import path from 'node:path'
import { progress } from '../dev/process.ts'
import { provide } from '../dev/stores.ts'
import { cpuSecondsOf } from './cores.ts'
import { inLanes } from './lanes.ts'
import { load, writeRequests, type Burst } from './load.ts'
import type { Person } from './people.ts'
import { renew, withBearer } from './rounds.ts'
import { openSession, unpin, type LocalServices, type Server, type Stage } from './stage.ts'
import { spreadOf, type Spread } from './statistics.ts'

export interface WriteFigures {
  connections: number
  rounds: number
  seconds: number
  kinds: {
    kind: Kind
    perSecond: Spread
    p50Ms: Spread
    p99Ms: Spread
    /** Processor time of the server's process for one request; null where it cannot be read. */
    cpuUs: Spread | null
    /** Throughput relative to (b), round by round. */
    ratio: Spread
  }[]
}

type Kind = 'b' | 'refresh' | 'logout'
type Sample = Burst & { cpuUs: number | null }

const lanes = 100
/** So many times what the fastest burst has spent are laid out for each: the one before it may have met a new process. */
const reserve = 2
/** More than a process of today answers in a second, for the first burst. */
const logoutsPerSecondMax = 5000

/**
 * Loads (b), the refresh and the logout in turn: the same client, as many connections, every core for all of them.
 *
 * @param people with an account: a refresh asks PostgreSQL for its person
 */
export async function measureWrites(
  { startOneGet, dir, cores, signal }: Pick<Stage, 'startOneGet' | 'dir' | 'cores' | 'signal'>,
  services: LocalServices,
  latchkey: Server,
  { people, connections, rounds, seconds }: { people: Person[]; connections: number; rounds: number; seconds: number },
): Promise<WriteFigures> {
  const wrk = await provide('wrk', { signal })
  const bare = await startOneGet({ pinned: false })
  const requestsFile = path.join(dir, 'requests-of-writes')
  let fastestLogoutsPerSecond = 0

  const open = async (count: number, kind: Kind) => {
    let turn = 0
    const opened = await inLanes(count, lanes, async () => {
      // Nobody may have more than fifty; who logs out needs no account, and who refreshes does.
      const { pair } = await openSession(services, kind === 'refresh' ? people[turn++ % people.length]!.id : undefined)
      return kind === 'refresh' ? pair.refreshToken : pair.accessToken
    })
    if (kind === 'b') writeRequests(requestsFile, opened.map(withBearer))
    else fs.writeFileSync(requestsFile, `${opened.join('\n')}\n`, { mode: 0o600 })
  }
  const burst = async (kind: Kind): Promise<Sample> => {
    const { url, pid } = kind === 'b' ? bare : latchkey
    const logoutsPerSecond = fastestLogoutsPerSecond * reserve || logoutsPerSecondMax
    await open(kind === 'logout' ? Math.ceil(logoutsPerSecond * seconds) + connections : 2 * connections, kind)
    const spend = kind === 'b' ? {} : { spend: kind }
    const before = cpuSecondsOf(pid)
    const one = await load({ wrk, url: `${url}/`, requestsFile, ...spend, connections, seconds, cores: null, signal })
    const after = cpuSecondsOf(pid)
    if (kind === 'logout') fastestLogoutsPerSecond = Math.max(fastestLogoutsPerSecond, one.perSecond)
    const cpuUs = before === null || after === null ? null : ((after - before) * 1e6) / (one.perSecond * seconds)
    return { ...one, cpuUs }
  }

  const kinds = ['b', 'refresh', 'logout'] as const
  const samples: Record<Kind, Sample[]> = { b: [], refresh: [], logout: [] }
  for (let round = 0; round < rounds; round++) {
    await renew(round, [bare, latchkey], async () => {
      progress('operations: refresh and logout beside (b), warming up')
      await unpin(latchkey.pid, cores)
      for (const kind of kinds) await burst(kind)
    })
    for (const kind of [...kinds.slice(round % 3), ...kinds.slice(0, round % 3)]) samples[kind].push(await burst(kind))
    const [b, refresh, logout] = kinds.map((kind) => samples[kind].at(-1)!.perSecond) as [number, number, number]
    progress(
      `operations: round ${round + 1} of ${rounds}: b ${Math.round(b)}/s, refresh ${Math.round(refresh)}/s, ` +
        `logout ${Math.round(logout)}/s, refresh/b ${(refresh / b).toFixed(2)}`,
    )
  }
  return {
    connections,
    rounds,
    seconds,
    kinds: kinds.map((kind) => {
      const cpu = samples[kind].flatMap(({ cpuUs }) => cpuUs ?? [])
      return {
        kind,
        perSecond: spreadOf(samples[kind].map(({ perSecond }) => perSecond)),
        p50Ms: spreadOf(samples[kind].map(({ p50Ms }) => p50Ms)),
        p99Ms: spreadOf(samples[kind].map(({ p99Ms }) => p99Ms)),
        cpuUs: cpu.length > 0 ? spreadOf(cpu) : null,
        ratio: spreadOf(samples[kind].map(({ perSecond }, round) => perSecond / samples.b[round]!.perSecond)),
      }
    }),
  }
}
