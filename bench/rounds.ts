/** Several servers under the same load, in interleaved rounds. */
import path from 'node:path'
import { progress } from '../dev/process.ts'
import { provide } from '../dev/stores.ts'
import { cpuSecondsOf } from './cores.ts'
import { load, writeRequests, type Burst, type Request } from './load.ts'
import type { Server, Stage } from './stage.ts'
import { spreadOf, type Spread } from './statistics.ts'

/** A server, and what it is asked by the load. */
export interface Contender {
  server: Server
  path: string
  requests: readonly Request[]
}

/** What the rounds said of one server. */
export interface Variant {
  perSecond: Spread
  p50Ms: Spread
  p99Ms: Spread
  /** Processor time of the server's process for one request; null where it cannot be read. */
  cpuUs: Spread | null
}

export interface RoundOptions {
  connections: number
  rounds: number
  /** For each server in a round. */
  seconds: number
}

/** How many sessions the load goes through, so that no single key is always the next. */
export const sessionCount = 400

const warmUpSeconds = 3

const roundsPerProcess = 3

/**
 * Before the first round, and before every third one after it, has the servers warmed up; they are new processes then: two
 * of one build differ, by how the compiler and the heap turned out.
 */
export async function renew(round: number, servers: Iterable<Server>, warmUp: () => Promise<void>): Promise<void> {
  if (round % roundsPerProcess !== 0) return
  if (round > 0) for (const server of servers) await server.restart()
  await warmUp()
}

/**
 * Loads servers in turn, each alone, round after round.
 *
 * The rounds are interleaved because the speed of a machine drifts: within a round all meet the same one, so what is
 * compared are the ratios of one round.
 *
 * @param topic what the progress is called
 * @param keepsProcesses whether all stay the processes they are, since some give out their sessions themselves
 * @throws Error when a single answer was not a success
 */
export async function measureRounds<Name extends string>(
  { dir, cores, signal }: Stage,
  topic: string,
  contenders: Record<Name, Contender>,
  { connections, rounds, seconds }: RoundOptions,
  { keepsProcesses = false } = {},
) {
  const wrk = await provide('wrk', { signal })
  const names = Object.keys(contenders) as Name[]
  const fileOf = (name: Name) => path.join(dir, `requests-${names.indexOf(name)}`)
  for (const name of names) writeRequests(fileOf(name), contenders[name].requests)

  const burst = (name: Name, burstSeconds: number) => {
    const { server, path: asked } = contenders[name]
    const requestsFile = fileOf(name)
    return load({ wrk, url: server.url + asked, requestsFile, connections, seconds: burstSeconds, cores, signal })
  }
  const servers = new Set(names.map((name) => contenders[name].server))
  const bursts = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, MeasuredBurst[]>
  for (let round = 0; round < rounds; round++) {
    if (round === 0 || !keepsProcesses)
      await renew(round, servers, async () => {
        progress(`${topic}: warming up`)
        for (const name of names) await burst(name, warmUpSeconds)
      })
    // Each round begins with another one, so that none always follows the same.
    const first = round % names.length
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const before = cpuSecondsOf(contenders[name].server.pid)
      const one = await burst(name, seconds)
      const after = cpuSecondsOf(contenders[name].server.pid)
      const cpuSeconds = before === null || after === null ? null : after - before
      bursts[name].push({ ...one, cpuUs: cpuSeconds === null ? null : (cpuSeconds * 1e6) / (one.perSecond * seconds) })
    }
    const rates = names.map((name) => `${name} ${Math.round(bursts[name].at(-1)!.perSecond)}/s`)
    progress(`${topic}: round ${round + 1} of ${rounds}: ${rates.join(', ')}`)
  }
  return {
    variantOf: (name: Name) => variantOf(bursts[name]),
    /** The throughput of one relative to that of another, round by round. */
    ratio: (name: Name, to: Name) =>
      spreadOf(bursts[name].map(({ perSecond }, round) => perSecond / bursts[to][round]!.perSecond)),
    /** The same of the 99th percentile of the latency. */
    p99Ratio: (name: Name, to: Name) =>
      spreadOf(bursts[name].map(({ p99Ms }, round) => p99Ms / bursts[to][round]!.p99Ms)),
  }
}

type MeasuredBurst = Burst & { cpuUs: number | null }

function variantOf(bursts: MeasuredBurst[]): Variant {
  const cpu = bursts.flatMap(({ cpuUs }) => cpuUs ?? [])
  return {
    perSecond: spreadOf(bursts.map(({ perSecond }) => perSecond)),
    p50Ms: spreadOf(bursts.map(({ p50Ms }) => p50Ms)),
    p99Ms: spreadOf(bursts.map(({ p99Ms }) => p99Ms)),
    cpuUs: cpu.length > 0 ? spreadOf(cpu) : null,
  }
}

/** What a server says to one request: its status, and header fields and body in one text. */
export async function ask(
  { server, path: asked }: Pick<Contender, 'server' | 'path'>,
  { headers, body }: Request,
): Promise<{ status: number; text: string }> {
  const method = body === undefined ? 'GET' : 'POST'
  const answer = await fetch(server.url + asked, { method, headers, body: body ?? null })
  return { status: answer.status, text: `${JSON.stringify([...answer.headers])}\n${await answer.text()}` }
}

/** A request with an access token in the way of RFC 6750. */
export function withBearer(token: string): Request {
  return { headers: { authorization: `Bearer ${token}` } }
}
