import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'

/** The documents as a reader has them: their tables, links and blocks, and a shell to paste the blocks into. */

const root = path.resolve(import.meta.dirname, '../..')
const notOurs = new Set(['node_modules', 'dist', 'coverage', '.data', '.git'])

/** Every Markdown file of the project, by its path from the project's folder. */
export function documents(): string[] {
  const found: string[] = []
  const walk = (folder: string) => {
    for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
      const place = path.join(folder, entry.name)
      if (entry.isDirectory() && !notOurs.has(entry.name)) walk(place)
      else if (entry.isFile() && entry.name.endsWith('.md')) found.push(place)
    }
  }
  walk('.')
  return found.toSorted()
}

export function readDocument(place: string): string {
  return fs.readFileSync(path.join(root, place), 'utf8')
}

/** What a fence encloses. */
export interface Block {
  /** The first word after the fence. */
  language: string
  /** The words after that. */
  meta: string
  text: string
  /** Of its first line of text. */
  line: number
  endLine: number
}

export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  let open: { language: string; meta: string; line: number; lines: string[] } | undefined
  markdown.split('\n').forEach((text, i) => {
    const fence = /^```(\S*) *(.*)$/.exec(text)
    if (open && text === '```') {
      const { lines, ...rest } = open
      blocks.push({ ...rest, text: lines.join('\n'), endLine: i + 1 })
      open = undefined
    } else if (open) open.lines.push(text)
    else if (fence) open = { language: fence[1]!, meta: fence[2]!, line: i + 2, lines: [] }
  })
  if (open) throw new Error(`the fence above line ${open.line} is not closed`)
  return blocks
}

/** A block that is pasted into a shell, and the block right below it that shows what the shell then says. */
export interface Step {
  script: string
  line: number
  /** Its fence says `sh api`: with the API down it is not for pasting. */
  needsApi: boolean
  shown: Block | undefined
}

export function stepsOf(markdown: string): Step[] {
  const lines = markdown.split('\n')
  const blocks = blocksOf(markdown)
  const isRightBelow = (above: Block, below: Block) =>
    lines.slice(above.endLine, below.line - 2).every((line) => line.trim() === '')
  return blocks.flatMap((block, i) => {
    if (block.language !== 'sh') return []
    const next = blocks[i + 1]
    const shown = next && ['json', 'text'].includes(next.language) && isRightBelow(block, next) ? next : undefined
    return { script: block.text, line: block.line, needsApi: block.meta === 'api', shown }
  })
}

/** Whether a shell said what a document shows; a `…` there stands for anything. Says the difference, or null. */
export function differenceFromShown(said: string, shown: Block | undefined): string | null {
  const text = said.trim()
  if (!shown) return text === '' ? null : `nothing is shown, but it said:\n${text}`
  const alike =
    shown.language === 'json'
      ? isLike(parsed(text), JSON.parse(shown.text))
      : areLinesLike(text.split('\n'), shown.text.split('\n'), shown.meta === 'in any order')
  return alike ? null : `shown:\n${shown.text}\nbut it said:\n${text}`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isLike(actual: unknown, shown: unknown): boolean {
  if (typeof actual === 'number' && shown === '…') return true
  if (typeof shown === 'string') return typeof actual === 'string' && isLineLike(actual, shown)
  if (typeof shown !== 'object' || shown === null) return actual === shown
  if (typeof actual !== 'object' || actual === null || Array.isArray(actual) !== Array.isArray(shown)) return false
  const [names, shownNames] = [Object.keys(actual), Object.keys(shown)]
  return (
    names.join() === shownNames.join() &&
    names.every((name) => isLike(actual[name as never], (shown as Record<string, unknown>)[name]))
  )
}

function areLinesLike(actual: string[], shown: string[], inAnyOrder: boolean): boolean {
  if (actual.length !== shown.length) return false
  if (!inAnyOrder) return actual.every((line, i) => isLineLike(line, shown[i]!))
  // The most telling ones first: a line that is only a `…` takes what the others have left.
  const left = [...actual]
  return shown
    .toSorted((a, b) => b.length - a.length)
    .every((pattern) => {
      const at = left.findIndex((line) => isLineLike(line, pattern))
      if (at !== -1) left.splice(at, 1)
      return at !== -1
    })
}

function isLineLike(actual: string, shown: string): boolean {
  const pattern = shown
    .split('…')
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
    .join('.+')
  return new RegExp(`^${pattern}$`, 's').test(actual)
}

/** The cells of the one table below a heading, row by row, without the head. Code marks stay in the cells. */
export function tableBelow(markdown: string, heading: string): string[][] {
  const lines = markdown.split('\n')
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading)
  if (start === -1) throw new Error(`there is no heading "${heading}"`)
  const section = lines.slice(start + 1)
  const end = section.findIndex((line) => /^#+ /.test(line))
  const rows = (end === -1 ? section : section.slice(0, end)).filter((line) => line.startsWith('|'))
  return rows.slice(2).map((row) =>
    row
      .slice(1, row.lastIndexOf('|'))
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replaceAll(String.raw`\|`, '|')),
  )
}

/** A document without what its fences enclose. */
function proseOf(markdown: string): string {
  const blocks = blocksOf(markdown)
  return markdown
    .split('\n')
    .filter((_, i) => !blocks.some(({ line, endLine }) => i + 1 >= line && i + 1 < endLine))
    .join('\n')
}

/** Where the links of a document lead, without those to other sites. */
export function linksOf(markdown: string): string[] {
  return [...proseOf(markdown).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^\w+:/.test(target))
}

/** Why a link of a document leads nowhere, or null. */
export function brokenLink(place: string, target: string): string | null {
  const [file, anchor] = target.split('#') as [string, string?]
  const at = file === '' ? place : path.join(path.dirname(place), file)
  if (!fs.existsSync(path.join(root, at))) return `${place}: ${target} leads to no file`
  if (anchor !== undefined && !anchorsOf(readDocument(at)).includes(anchor))
    return `${place}: ${target} leads to no heading`
  return null
}

/** The anchors of the headings, as code hosts make them. */
function anchorsOf(markdown: string): string[] {
  return [...proseOf(markdown).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

export interface Shell {
  /** Runs a block as if it were pasted; what it sets is there for the next one. */
  paste(script: string): Promise<{ exitCode: number; said: string }>
  close(): Promise<void>
}

/** One shell process that lives through many blocks. */
export function openShell(command: string, { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv }): Shell {
  const shell = spawn(command, { cwd, env, stdio: ['pipe', 'pipe', 'inherit'] })
  const scripts = fs.mkdtempSync(path.join(cwd, 'blocks-'))
  let said = ''
  let count = 0
  shell.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
  const ended = once(shell, 'exit')
  return {
    async paste(script) {
      const file = path.join(scripts, `${(count += 1)}.sh`)
      fs.writeFileSync(file, `${script}\n`)
      said = ''
      const mark = `--- block ${count} ended with`
      shell.stdin.write(`. '${file}' </dev/null 2>&1\nprintf '\\n%s %d\\n' '${mark}' "$?"\n`)
      for (;;) {
        const end = said.lastIndexOf(mark)
        const exitCode = end === -1 ? undefined : /^ (\d+)\n/.exec(said.slice(end + mark.length))?.[1]
        if (exitCode !== undefined) return { exitCode: Number(exitCode), said: said.slice(0, end) }
        if (shell.exitCode !== null) throw new Error(`the shell ended: ${said}`)
        await Promise.race([once(shell.stdout, 'data'), ended])
      }
    },
    async close() {
      shell.stdin.end()
      await ended
    },
  }
}
