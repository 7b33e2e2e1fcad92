import { styleText } from 'node:util'
import type { CapacityFigures } from './capacity.ts'
import type { CheckFigures, VariantName } from './check.ts'
import type { MemoryFigures } from './memory.ts'
import type { OperationFigures } from './operations.ts'
import type { PeerFigures } from './peers.ts'
import type { Variant } from './rounds.ts'
import type { Middle, Spread } from './statistics.ts'
import type { TimingFigures } from './timing.ts'

/** Everything a run found out; a part that was not asked for is not there. */
export interface Figures {
  machine: { date: string; cores: number; pinned: boolean; node: string; redis: string; loadBefore: number }
  check?: CheckFigures
  operations?: OperationFigures
  memory?: MemoryFigures
  capacity?: CapacityFigures
  timing?: TimingFigures
  peers?: PeerFigures
}

/** What this version promises: the token check at least this fast, compared with bare Node and one GET. */
export const checkRatioTarget = 0.45

/** How many times as fast as these GET /forward-auth is promised to be. */
const forwardAuthTargets = { revocable: 2, stateless: 1 }

export interface Table {
  title: string
  head: string[]
  rows: string[][]
  remark?: string
}

const variantTitles: Record<VariantName, string> = {
  a: '(a) bare node:http, no Redis',
  b: '(b) bare node:http, one GET',
  c: '(c) Latchkey, token check',
}

/** The figures as tables, rounded to what they are worth. */
export function tablesOf({ check, operations, memory, capacity, timing, peers }: Figures): Table[] {
  return [
    ...(check ? [checkTable(check)] : []),
    ...(operations ? [operationsTable(operations)] : []),
    ...(memory ? [memoryTable(memory)] : []),
    ...(capacity ? [capacityTable(capacity)] : []),
    ...(timing ? [timingTable(timing)] : []),
    ...(peers ? [peersTable(peers)] : []),
  ]
}

function checkTable({ connections, tokens, rounds, seconds, variants, ratios }: CheckFigures): Table {
  const { median } = ratios.c
  return {
    title: `Token check, ${connections} connections, ${tokens} tokens, ${rounds} rounds of ${seconds} s`,
    head: ['server', ...variantHead, 'ratio to (b)'],
    rows: (['a', 'b', 'c'] as const).map((name) =>
      [
        variantTitles[name],
        variantCells(variants[name]),
        name === 'b' ? '1' : spread(ratios[name], decimals(2)),
      ].flat(),
    ),
    remark: `c/b is ${decimals(2)(median)}; the target is ${checkRatioTarget}: ${median >= checkRatioTarget ? 'met' : 'missed'}.`,
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
    remark: `A logout-all takes ${decimals(1)(logoutAllToLogout)} times as long as a logout (medians).`,
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
    const verdict = forwardAuthRatio.median >= target ? 'met' : 'missed'
    return `forward-auth is ${decimals(2)(forwardAuthRatio.median)} times as fast as ${name}; the target is ${target}: ${verdict}.`
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
