import { styleText } from 'node:util'
import type { CapacityFigures } from './capacity.ts'
import type { CheckFigures } from './check.ts'
import { forwardAuthName, introspectName, protectedName } from './ours.ts'
import type { Timing } from './client.ts'
import type { MemoryFigures } from './memory.ts'
import type { OperationFigures } from './operations.ts'
import type { PeerFigures } from './peers.ts'
import type { Variant } from './rounds.ts'
import type { ScaleFigures } from './scale.ts'
import type { SoakFigures } from './soak.ts'
import type { StartFigures } from './start.ts'
import type { Line, Middle, Spread } from './statistics.ts'
import type { StormFigures } from './storm.ts'
import type { TimingFigures } from './timing.ts'
import type { WriteFigures } from './writes.ts'

/** Everything a run found out; a part that was not asked for is not there. */
export interface Figures {
  machine: { date: string; cores: number; pinned: boolean; node: string; redis: string; loadBefore: number }
  check?: CheckFigures
  cluster?: CheckFigures
  operations?: OperationFigures
  memory?: MemoryFigures
  capacity?: CapacityFigures
  timing?: TimingFigures
  peers?: PeerFigures
  storm?: StormFigures
  start?: StartFigures
  scale?: ScaleFigures
  soak?: SoakFigures
}

/** What is promised of each way to ask about a token, in parts of what bare Node with one GET does. */
const checkTargets: Readonly<Record<string, number>> = {
  [forwardAuthName]: 0.9,
  [protectedName]: 0.9,
  [introspectName]: 0.5,
}
const p99RatioTarget = 1.3
/** What of (b) a refresh reaches that asks PostgreSQL as well. */
const refreshRatioTarget = 0.25
const logoutAllTarget = 3
const stormTargets = { p99Ratio: 3, healthMs: 50, refusedMs: 100 }
const startTargets = { readyMs: 600, residentBytes: 120e6 }
const scaleTargets = { growth: 1.1, growthOfOneUser: 1.05 }

/** How many times as fast as these GET /forward-auth is promised to be. */
const forwardAuthTargets = { revocable: 2, stateless: 1 }

export interface Table {
  title: string
  head: string[]
  rows: string[][]
  remark?: string
}

/** The figures as tables, rounded to what they are worth. */
export function tablesOf(figures: Figures): Table[] {
  const { check, cluster, operations, memory, capacity, timing, peers, storm, start, scale, soak } = figures
  return [
    ...(check ? [checkTable('Token check', check)] : []),
    ...(cluster ? [checkTable('Token check on a Cluster of three primaries', cluster)] : []),
    ...(operations ? [operationsTable(operations), writesTable(operations.writes)] : []),
    ...(memory ? [memoryTable(memory)] : []),
    ...(capacity ? [capacityTable(capacity)] : []),
    ...(timing ? [timingTable(timing)] : []),
    ...(peers ? [peersTable(peers)] : []),
    ...(storm ? [stormTable(storm)] : []),
    ...(start ? [startTable(start)] : []),
    ...(scale ? [populationsTable(scale), workersTable(scale)] : []),
    ...(soak ? [soakTable(soak)] : []),
  ]
}

function checkTable(title: string, { connections, tokens, rounds, seconds, servers }: CheckFigures): Table {
  const told = servers.flatMap(({ name, ratio, p99Ratio }) => {
    const target = checkTargets[name]
    if (target === undefined) return []
    const tail = `p99 ${decimals(2)(p99Ratio.median)} times that of (b), at most ${p99RatioTarget}: ${verdict(p99Ratio.median <= p99RatioTarget)}`
    return `${name}: ${decimals(2)(ratio.median)} of (b), at least ${target}: ${verdict(ratio.median >= target)}; ${tail}.`
  })
  return {
    title: `${title}, ${connections} connections, ${tokens} tokens, ${rounds} rounds of ${seconds} s`,
    head: ['server', ...variantHead, 'ratio to (b)'],
    rows: servers.map(({ name, variant, ratio }) => [name, ...variantCells(variant), spread(ratio, decimals(2))]),
    remark: told.join(' '),
  }
}

const variantHead = ['requests/s', 'p50 ms', 'p99 ms', 'CPU us a request']

function variantCells({ perSecond, p50Ms, p99Ms, cpuUs }: Variant): string[] {
  return [
    spread(perSecond, whole),
    spread(p50Ms, decimals(2)),
    spread(p99Ms, decimals(2)),
    cpuUs ? spread(cpuUs, decimals(1)) : '-',
  ]
}

function operationsTable({ operations, logoutAllToLogout }: OperationFigures): Table {
  return {
    title: 'Operations over HTTP, one Latchkey process',
    head: ['operation', 'at once', 'a second', 'p50 ms', 'p99 ms', 'samples'],
    rows: operations.map(({ name, concurrency, perSecond, p50Ms, p99Ms, samples }) => [
      name,
      String(concurrency),
      perSecond ? spread(perSecond, whole) : '-',
      decimals(2)(p50Ms),
      decimals(2)(p99Ms),
      whole(samples),
    ]),
    remark: `A logout-all takes ${decimals(1)(logoutAllToLogout)} times as long as a logout (medians); the target is at most ${logoutAllTarget}: ${verdict(logoutAllToLogout <= logoutAllTarget)}.`,
  }
}

const writeTitles: Record<WriteFigures['kinds'][number]['kind'], string> = {
  b: '(b) bare node:http, one GET',
  refresh: 'Latchkey, refresh',
  logout: 'Latchkey, logout',
}

function writesTable({ connections, rounds, seconds, kinds }: WriteFigures): Table {
  const refresh = kinds.find(({ kind }) => kind === 'refresh')!.ratio.median
  return {
    title: `Refresh and logout, ${connections} connections, ${rounds} rounds of ${seconds} s, nothing pinned`,
    head: ['server', 'requests/s', 'p50 ms', 'p99 ms', 'CPU us a request', 'ratio to (b)'],
    rows: kinds.map(({ kind, perSecond, p50Ms, p99Ms, cpuUs, ratio }) => [
      writeTitles[kind],
      spread(perSecond, whole),
      spread(p50Ms, decimals(2)),
      spread(p99Ms, decimals(2)),
      cpuUs ? spread(cpuUs, decimals(1)) : '-',
      kind === 'b' ? '1' : spread(ratio, decimals(2)),
    ]),
    remark: `refresh/b is ${decimals(2)(refresh)}; the target is ${refreshRatioTarget}: ${verdict(refresh >= refreshRatioTarget)}.`,
  }
}

function memoryTable({ sessionCount, sessions, ...bytes }: MemoryFigures): Table {
  return {
    title: `Memory in Redis, ${whole(sessionCount)} sessions`,
    head: ['what', 'hash-max-listpack-value', 'bytes'],
    rows: [
      ...sessions.map(({ sessionsPerUser, listpackValueMaxBytes, bytesPerSession }) => [
        `a session, ${sessionsPerUser} a user`,
        String(listpackValueMaxBytes),
        whole(bytesPerSession),
      ]),
      ['a session after a refresh, 1 a user', '64', whole(bytes.bytesPerRefreshedSession)],
      ['a spent refresh pointer', 'any', whole(bytes.bytesPerSpentRefreshPointer)],
    ],
  }
}

function capacityTable({ rowCount, bytesPerRow, replay, ...bytes }: CapacityFigures): Table {
  return {
    title: `What there is besides sessions, ${whole(rowCount)} rows of each table`,
    head: ['what', 'where', 'bytes'],
    rows: [
      ...Object.entries(bytesPerRow).map(([table, size]) => [`a row of ${table}`, 'PostgreSQL', whole(size)]),
      ['a tombstone', 'Redis', whole(bytes.bytesPerTombstone)],
      ['an entry of the stream', 'Redis', whole(bytes.bytesPerStreamEntry)],
    ],
    remark:
      `A Redis that has forgotten ${whole(replay.endings)} endings is told of ${whole(replay.perSecond)} a second, ` +
      `and of ${whole(replay.perSecondIdle)} a second when it has forgotten none.`,
  }
}

function timingTable({ rounds, comparisons }: TimingFigures): Table {
  const middle = ({ median, lowerQuartile, upperQuartile }: Middle) =>
    `${decimals(2)(median)} (${decimals(2)(lowerQuartile)}-${decimals(2)(upperQuartile)})`
  const signed = (value: number) => `${value < 0 ? '' : '+'}${decimals(2)(value)}`
  return {
    title: `Known and unknown accounts, ${rounds} rounds, ms`,
    head: ['request', 'known', 'unknown', 'known less unknown', '95 % confidence'],
    rows: comparisons.map(({ name, knownMs, unknownMs, differenceMs: { median, low, high } }) => [
      name,
      middle(knownMs),
      middle(unknownMs),
      signed(median),
      `${signed(low)} to ${signed(high)}`,
    ]),
  }
}

function peersTable({ connections, sessions, rounds, seconds, servers, absent }: PeerFigures): Table {
  const head = ['server', 'a session can be ended', ...variantHead, 'ratio to one GET', 'forward-auth to it']
  const revocable = { reference: '-', latchkey: 'yes', revocable: 'yes', stateless: 'no' }
  const ratioOf = (ratio: Spread) => (ratio.min === 1 && ratio.max === 1 ? '1' : spread(ratio, decimals(2)))
  const verdicts = (['revocable', 'stateless'] as const).flatMap((kind) => {
    const fastest = servers.find((server) => server.kind === kind)
    if (!fastest) return []
    const { name, forwardAuthRatio } = fastest
    const target = forwardAuthTargets[kind]
    return `forward-auth is ${decimals(2)(forwardAuthRatio.median)} times as fast as ${name}; the target is ${target}: ${verdict(forwardAuthRatio.median >= target)}.`
  })
  const missing = [...new Set(absent.map(({ reason }) => reason))].map((shared) => {
    const without = absent.filter(({ reason }) => reason === shared).map(({ name }) => name)
    return `Without ${without.join(', ')}: ${inOneLine(shared)}`
  })
  return {
    title: `Peers, ${connections} connections, ${sessions} sessions, ${rounds} rounds of ${seconds} s`,
    head,
    rows: [
      ...servers.map(({ name, kind, variant, ratio, forwardAuthRatio }) =>
        [name, revocable[kind], variantCells(variant), ratioOf(ratio), ratioOf(forwardAuthRatio)].flat(),
      ),
      ...absent.map(({ name }) => head.map((_, i) => (i === 0 ? name : '-'))),
    ],
    remark: [...verdicts, ...missing].join('\n'),
  }
}

const inOneLine = (text: string) => text.replaceAll(/\s+/g, ' ').slice(0, 300)

function stormTable({ idle, storm, p99Ratio, logins, ...asked }: StormFigures): Table {
  const { healthMs, refusedMs, p99Ratio: ratioMax } = stormTargets
  const row = (name: string, { p50Ms, p99Ms, samples }: Timing) => [
    name,
    decimals(2)(p50Ms),
    decimals(2)(p99Ms),
    whole(samples),
  ]
  const healthWorst = Math.max(storm.live.p99Ms, storm.ready.p99Ms)
  const { refused, refusedWithoutRetryAfter: silent } = logins
  return {
    title:
      `A storm of logins, ${asked.rounds} rounds of ${asked.phaseSeconds} s without and ${asked.phaseSeconds} s with it: ` +
      `${asked.checksPerSecond} checks a second, ${asked.burst} logins at once and ${asked.loginsPerSecond} a second`,
    head: ['request', 'p50 ms', 'p99 ms', 'samples'],
    rows: [
      row('token check, idle', idle.check),
      row('token check, storm', storm.check),
      row('/health/live, idle', idle.live),
      row('/health/live, storm', storm.live),
      row('/health/ready, idle', idle.ready),
      row('/health/ready, storm', storm.ready),
      row('login answered 200', logins.let),
      ...(refused ? [row('login answered 503', refused)] : []),
    ],
    remark: [
      `p99 of the check in the storm is ${spread(p99Ratio, decimals(1))} times that of the calm before; the target is at most ${ratioMax}: ${verdict(p99Ratio.median <= ratioMax)}.`,
      `p99 of health is at most ${decimals(1)(healthWorst)} ms; the target is ${healthMs}: ${verdict(healthWorst <= healthMs)}.`,
      refused
        ? `p99 of a 503 is ${decimals(1)(refused.p99Ms)} ms; the target is ${refusedMs}: ${verdict(refused.p99Ms <= refusedMs)}. ${silent === 0 ? 'Each has Retry-After' : `${silent} have no Retry-After`}.`
        : 'No login was answered 503: the machine hashes as fast as they come.',
      `${decimals(1)(logins.letPerSecond)} logins a second were answered 200.`,
    ].join('\n'),
  }
}

function startTable({ starts, readyMs, forwardAuthMs, cpuMs, settleSeconds, ...memory }: StartFigures): Table {
  const resident = (held: StartFigures['untouched']) =>
    held ? `${mb(held.all)} (own ${mb(held.own)}, of files ${mb(held.ofFiles)})` : '-'
  const { readyMs: readyMax, residentBytes } = startTargets
  return {
    title: `Cold start, ${starts} times, and memory ${settleSeconds} s later`,
    head: ['what', 'median'],
    rows: [
      ['until /health/ready says 200, ms', spread(readyMs, whole)],
      ['until /forward-auth says 200 too, ms', spread(forwardAuthMs, whole)],
      ['processor time until ready, ms', cpuMs ? spread(cpuMs, whole) : '-'],
      ['resident memory, nothing asked yet, MB', resident(memory.untouched)],
      ['resident memory after load, MB', resident(memory.afterLoad)],
    ],
    remark: [
      `Ready after ${whole(readyMs.median)} ms; the target is ${readyMax}: ${verdict(readyMs.median <= readyMax)}.`,
      ...(memory.untouched
        ? [
            `Idle it holds ${mb(memory.untouched.all)} MB; the target is ${mb(residentBytes)}: ${verdict(memory.untouched.all <= residentBytes)}.`,
          ]
        : []),
    ].join('\n'),
  }
}

function populationsTable({ connections, rounds, seconds, populations }: ScaleFigures): Table {
  const optional = (value: Spread | null, digits: number) => (value ? spread(value, decimals(digits)) : '-')
  const worst = (of: ScaleFigures['populations']) =>
    Math.max(...of.flatMap(({ toTheFirst: { p50, cpu } }) => [p50.median, cpu?.median ?? 0]))
  const bySize = worst(populations.filter(({ sessionsPerUser }) => sessionsPerUser === 1))
  const byUser = worst(populations.filter(({ sessionsPerUser }) => sessionsPerUser > 1))
  const { growth, growthOfOneUser } = scaleTargets
  return {
    title: `Token check by the number of sessions, ${connections} connections, ${rounds} rounds of ${seconds} s`,
    head: [
      'sessions',
      'MiB',
      'checks/s',
      'CPU us',
      'Redis CPU us',
      'p50 to first',
      'CPU to first',
      'Redis CPU to first',
    ],
    rows: populations.map(({ sessionCount, sessionsPerUser, redisBytes, perSecond, ...costs }) => [
      `${whole(sessionCount)}, ${sessionsPerUser} a user`,
      mib(redisBytes),
      spread(perSecond, whole),
      optional(costs.cpuUs, 1),
      optional(costs.redisCpuUs, 1),
      spread(costs.toTheFirst.p50, decimals(2)),
      optional(costs.toTheFirst.cpu, 2),
      optional(costs.toTheFirst.redisCpu, 2),
    ]),
    remark:
      `With more sessions a check (p50, CPU) costs at most ${decimals(2)(bySize)} of the first; the target is ${growth}: ${verdict(bySize <= growth)}.\n` +
      `With 50 a user it is ${decimals(2)(byUser)}; the target is ${growthOfOneUser}: ${verdict(byUser <= growthOfOneUser)}.`,
  }
}

function workersTable({ connections, rounds, seconds, workers }: ScaleFigures): Table {
  return {
    title: `Token check by WEB_CONCURRENCY, ${connections} connections, ${rounds} rounds of ${seconds} s, nothing pinned`,
    head: ['processes', 'checks/s', 'p50 ms', 'p99 ms', 'ratio to one'],
    rows: workers.map(({ processes, perSecond, p50Ms, p99Ms, ratio }) => [
      String(processes),
      spread(perSecond, whole),
      spread(p50Ms, decimals(2)),
      spread(p99Ms, decimals(2)),
      processes === 1 ? '1' : spread(ratio, decimals(2)),
    ]),
    remark: 'The load and Redis take their share of the same cores.',
  }
}

function soakTable({ minutes, warmUpSeconds, requests, samples, ...lines }: SoakFigures): Table {
  const [first, last] = [samples.find(({ atSeconds }) => atSeconds >= warmUpSeconds)!, samples.at(-1)!]
  const anHour = (bytesPerSecond: number) => decimals(1)((bytesPerSecond * 3600) / 2 ** 20)
  const row = (name: string, size: 'rssBytes' | 'heapBytes', { slope, slopeWithin }: Line) => [
    name,
    mib(samples[0]![size]),
    mib(first[size]),
    mib(last[size]),
    `${anHour(slope)} +- ${anHour(slopeWithin)}`,
  ]
  const grows = ({ slope, slopeWithin }: Line) => slope > slopeWithin
  const total = Object.values(requests).reduce((sum, count) => sum + count, 0)
  const shares = Object.entries(requests).map(([name, count]) => `${name} ${whole(count)}`)
  return {
    title: `Memory under ${minutes} minutes of mixed load, MiB`,
    head: ['what', 'at first', `after ${whole(warmUpSeconds)} s`, 'at the end', 'growth, extrapolated to an hour'],
    rows: [row('resident memory', 'rssBytes', lines.rss), row('heap used', 'heapBytes', lines.heap)],
    remark:
      `${whole(total)} requests: ${shares.join(', ')}. The target is no growth that the fit can tell from none: ` +
      `${verdict(!grows(lines.rss) && !grows(lines.heap))}.`,
  }
}

const verdict = (isMet: boolean) => (isMet ? 'met' : 'missed')
const mib = (bytes: number) => whole(bytes / 2 ** 20)
const mb = (bytes: number) => whole(bytes / 1e6)
const whole = (value: number) => Math.round(value).toLocaleString('en')
const decimals = (digits: number) => (value: number) => value.toFixed(digits)

function spread({ median, min, max }: Spread, format: (value: number) => string): string {
  return `${format(median)} (${format(min)}-${format(max)})`
}

/** For people: columns under one another, numbers to the right; in colour where that is wanted. */
export function asText(tables: Table[], colourful: boolean): string {
  const paint = (format: 'bold' | 'dim', text: string) => (colourful ? styleText(format, text) : text)
  return tables
    .map(({ title, head, rows, remark }) => {
      const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)))
      const line = (row: string[]) =>
        row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
      return [paint('bold', title), paint('dim', line(head)), ...rows.map(line), ...(remark ? [remark] : [])].join('\n')
    })
    .join('\n\n')
}

/** As the tables stand in bench/README.md. */
export function asMarkdown(tables: Table[]): string {
  return tables
    .map(({ title, head, rows, remark }) =>
      [
        `### ${title}`,
        '',
        markdownRow(head),
        markdownRow(head.map((_, i) => (i === 0 ? '---' : '--:'))),
        ...rows.map(markdownRow),
        ...(remark ? ['', remark] : []),
      ].join('\n'),
    )
    .join('\n\n')
}

function markdownRow(cells: string[]): string {
  return `| ${cells.join(' | ')} |`
}
