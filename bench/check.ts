/** The token check under full load, between two references, in interleaved rounds. */
import fs from 'node:fs'
import path from 'node:path'
import { progress } from '../dev/process.ts'
import { provide, type Service } from '../dev/stores.ts'
import { cpuSecondsOf } from './cores.ts'
import { load, type Burst } from './load.ts'
import { openSession, type LocalServices, type Stage } from './stage.ts'
import { spreadOf, type Spread } from './statistics.ts'

export type VariantName = 'a' | 'b' | 'c'

export interface Variant {
  perSecond: Spread
  p50Ms: Spread
  p99Ms: Spread
  /** Processor time of the server's process for one request; null where it cannot be read. */
  cpuUs: Spread | null
}

export interface CheckFigures {
  connections: number
  tokens: number
  rounds: number
  seconds: number
  variants: Record<VariantName, Variant>
  /** Throughput relative to (b), round by round. */
  ratios: Record<'a' | 'c', Spread>
}

interface Target {
  server: Service
  path: string
}

const tokenCount = 400
const warmUpSeconds = 3

/**
 * Loads three servers in turn, each alone, round after round.
 *
 * The rounds are interleaved because the speed of a machine drifts: within a round all three meet the same one, so what
 * is compared are the ratios of one round.
 */
export async function measureCheck(
  stage: Stage,
  services: LocalServices,
  { fixed, latchkey }: { fixed: Service; latchkey: Service },
  { connections, rounds, seconds }: { connections: number; rounds: number; seconds: number },
): Promise<CheckFigures> {
  const { cores, signal } = stage
  const wrk = await provide('wrk', { signal })
  const tokens = await Promise.all(
    Array.from({ length: tokenCount }, async () => (await openSession(services)).pair.accessToken),
  )
  const tokensFile = path.join(stage.dir, 'tokens')
  fs.writeFileSync(tokensFile, `${tokens.join('\n')}\n`, { mode: 0o600 })
  const targets: Record<VariantName, Target> = {
    a: { server: fixed, path: '/' },
    b: { server: await stage.startOneGet(), path: '/' },
    c: { server: latchkey, path: '/v1/protected' },
  }
  await mustTellTokensApart(targets, tokens[0]!)

  const burst = (name: VariantName, burstSeconds: number) => {
    const { server, path: asked } = targets[name]
    return load({ wrk, url: server.url + asked, tokensFile, connections, seconds: burstSeconds, cores, signal })
  }
  const names = Object.keys(targets) as VariantName[]
  for (const name of names) {
    progress(`token check: warming up (${name})`)
    await burst(name, warmUpSeconds)
  }
  const bursts: Record<VariantName, (Burst & { cpuUs: number | null })[]> = { a: [], b: [], c: [] }
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another one, so that none always follows the same.
    for (const name of [...names.slice(round % 3), ...names.slice(0, round % 3)]) {
      const before = cpuSecondsOf(targets[name].server.pid)
      const one = await burst(name, seconds)
      const after = cpuSecondsOf(targets[name].server.pid)
      const cpuSeconds = before === null || after === null ? null : after - before
      bursts[name].push({ ...one, cpuUs: cpuSeconds === null ? null : (cpuSeconds * 1e6) / (one.perSecond * seconds) })
    }
    const [a, b, c] = names.map((name) => bursts[name].at(-1)!.perSecond) as [number, number, number]
    progress(
      `token check: round ${round + 1} of ${rounds}: a ${Math.round(a)}/s, b ${Math.round(b)}/s, c ${Math.round(c)}/s, ` +
        `c/b ${(c / b).toFixed(2)}`,
    )
  }
  const ratio = (name: VariantName) =>
    spreadOf(bursts[name].map(({ perSecond }, round) => perSecond / bursts.b[round]!.perSecond))
  return {
    connections,
    tokens: tokenCount,
    rounds,
    seconds,
    variants: { a: variantOf(bursts.a), b: variantOf(bursts.b), c: variantOf(bursts.c) },
    ratios: { a: ratio('a'), c: ratio('c') },
  }
}

function variantOf(bursts: (Burst & { cpuUs: number | null })[]): Variant {
  const cpu = bursts.flatMap(({ cpuUs }) => cpuUs ?? [])
  return {
    perSecond: spreadOf(bursts.map(({ perSecond }) => perSecond)),
    p50Ms: spreadOf(bursts.map(({ p50Ms }) => p50Ms)),
    p99Ms: spreadOf(bursts.map(({ p99Ms }) => p99Ms)),
    cpuUs: cpu.length > 0 ? spreadOf(cpu) : null,
  }
}

/** A server that says yes to everybody would be fast, and prove nothing. */
async function mustTellTokensApart(targets: Record<VariantName, Target>, token: string): Promise<void> {
  const cases = [
    ['a', token, 200],
    ['b', token, 200],
    ['b', 'not-a-token', 401],
    ['c', token, 200],
    ['c', 'not-a-token', 401],
  ] as const
  for (const [name, presented, expected] of cases) {
    const { server, path: asked } = targets[name]
    const { status } = await fetch(server.url + asked, { headers: { authorization: `Bearer ${presented}` } })
    if (status !== expected) throw new Error(`(${name}) answered ${status} where ${expected} is right`)
  }
}
