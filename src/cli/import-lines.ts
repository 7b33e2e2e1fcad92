import type { Readable } from 'node:stream'
import type { Foreign } from '../accounts/index.ts'
import { AppError } from '../errors.ts'

/** One line of an import, or why it says nothing. Lines count from 1. */
export type ImportLine = { line: number; foreign: Foreign } | { line: number; fault: string }

/** What one line may hold, in bytes, so that a file without line breaks is not read into memory as a whole. */
const lineMaxBytes = 65_536
const lineFeed = 10
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads JSON objects, one a line (NDJSON), as they are asked for. Empty lines are passed over. */
export async function* readNdjson(input: Readable): AsyncGenerator<ImportLine> {
  for await (const read of linesOf(input)) {
    if ('fault' in read) yield read
    else {
      const foreign = objectIn(read.text)
      yield typeof foreign === 'string' ? { line: read.line, fault: foreign } : { line: read.line, foreign }
    }
  }
}

function objectIn(json: string): Foreign | string {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Foreign)
      : 'is not an object'
  } catch {
    return 'is not JSON'
  }
}

/**
 * Reads comma-separated values below a line that names the members. A cell that is empty says nothing.
 *
 * As RFC 4180 has it, but for line breaks inside quotes: no member may hold one, so each line stands for itself, and a
 * quotation mark too many costs one line and not all that follow.
 *
 * @throws AppError `validation-failed` when the first line names what is no member
 */
export async function* readCsv(input: Readable, members: readonly string[]): AsyncGenerator<ImportLine> {
  let names: string[] | undefined
  for await (const read of linesOf(input)) {
    if ('fault' in read) yield read
    else if (!names) names = namesIn(cellsOf(read.text) ?? [read.text], members)
    else {
      const { line } = read
      const cells = cellsOf(read.text)
      if (!cells) yield { line, fault: 'has a quotation mark too many or too few' }
      else if (cells.length !== names.length)
        yield { line, fault: `has ${cells.length} cells where the first line names ${names.length}` }
      else yield { line, foreign: personIn(names, cells) }
    }
  }
}

/** The cells of a line, or null when its quotation marks do not match. */
function cellsOf(text: string): string[] | null {
  const cells: string[] = []
  const cell = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y
  for (let separator: string | undefined = ','; separator === ',';) {
    const found = cell.exec(text)
    if (!found) return null
    cells.push(found[1]?.replaceAll('""', '"') ?? found[2]!)
    separator = found[3]
  }
  return cells
}

function namesIn(record: string[], members: readonly string[]): string[] {
  const names = record.map((cell) => cell.trim())
  const faults = names
    .filter((name, i) => (name !== 'password' && !members.includes(name)) || names.indexOf(name) !== i)
    .map((name) => ({ member: `The first line: ${JSON.stringify(name)}`, detail: 'is no member, or named twice' }))
  if (faults.length > 0) throw new AppError('validation-failed', { faults })
  return names
}

function personIn(names: string[], cells: string[]): Foreign {
  const said = names.map((name, i) => [name, valueOf(name, cells[i]!)] as const).filter(([, value]) => value !== null)
  return Object.fromEntries(said)
}

function valueOf(name: string, cell: string): string | boolean | null {
  if (cell === '') return null
  return name === 'email_verified' && /^(true|false)$/i.test(cell) ? cell.toLowerCase() === 'true' : cell
}

/** The lines of a stream that are not empty, as text, without carriage return and byte order mark. */
async function* linesOf(
  input: Readable,
): AsyncGenerator<{ line: number; text: string } | { line: number; fault: string }> {
  let line = 0
  for await (const bytes of cut(input)) {
    line += 1
    if (bytes === null) yield { line, fault: `is longer than ${lineMaxBytes} bytes` }
    else {
      const text = textOf(bytes, line === 1)
      if (text === null) yield { line, fault: 'is not UTF-8' }
      else if (text !== '') yield { line, text }
    }
  }
}

function textOf(bytes: Buffer, mayHaveMark: boolean): string | null {
  try {
    const text = utf8.decode(bytes)
    return (mayHaveMark ? text.replace(/^\uFEFF/, '') : text).trim()
  } catch {
    return null
  }
}

/** Cuts a stream at line feeds; null stands for a line that is too long. */
async function* cut(input: Readable): AsyncGenerator<Buffer | null> {
  let parts: Buffer[] = []
  let length = 0
  const whole = () => {
    const line = length > lineMaxBytes ? null : Buffer.concat(parts)
    ;[parts, length] = [[], 0]
    return line
  }
  for await (const chunk of input as AsyncIterable<Buffer>) {
    for (let start = 0; start < chunk.length;) {
      const at = chunk.indexOf(lineFeed, start)
      const end = at === -1 ? chunk.length : at
      length += end - start
      if (length > lineMaxBytes) parts = []
      else parts.push(chunk.subarray(start, end))
      start = end + 1
      if (at !== -1) yield whole()
    }
  }
  if (length > 0) yield whole()
}
