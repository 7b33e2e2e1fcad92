/**
 * `npm test`: all test files in two lanes side by side, each a mocha with stores of its own, because most of the time a
 * test waits. With arguments they go to one mocha as they are: `npm test -- test/e2e/login.test.ts`.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { lanesOf, readSeconds, secondsFile, testFiles } from './lanes.ts'
import { root } from './places.ts'

const laneCount = 2
const mocha = path.join(root, 'node_modules/mocha/bin/mocha.js')
/** The first line of what mocha prints at its end: how many passed, and every failure whole. */
const isEpilogue = (line: string) => /^ {2}\d+ passing \(/.test(line)

interface Lane {
  process: ChildProcess
  ended: Promise<{
    code: number
    /** What it has to say at the end; what came before it has been printed as it came. */
    epilogue: string[]
    /** Of each part of a file. */
    seconds: [file: string, seconds: number][]
  }>
}

function startLane(files: string[], number: number, folder: string): Lane {
  const times = path.join(folder, String(number))
  const reporter = ['--reporter', path.join(root, 'dev/test-reporter.mjs'), '--reporter-option', `file=${times}`]
  const child = spawn(process.execPath, [mocha, ...reporter, ...colour(), ...files], {
    cwd: root,
    env: { ...process.env, REACHED_STATUSES_FILE: `${times}.statuses` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const epilogue: string[] = []
  const told = [child.stdout, child.stderr].map(async (stream) => {
    for await (const line of createInterface(stream))
      if (epilogue.length > 0 || isEpilogue(line)) epilogue.push(line)
      else process.stdout.write(`${number} | ${line}\n`)
  })
  const ended = (async () => {
    const [code, signal] = (await once(child, 'close')) as Exit
    await Promise.all(told)
    if (signal) epilogue.push(`  It was ended by ${signal} before its end.`)
    const lines = fs.existsSync(times) ? fs.readFileSync(times, 'utf8').trim().split('\n') : []
    const seconds = lines.map((line): [string, number] => {
      const [file, took] = JSON.parse(line) as [string, number]
      return [path.relative(root, file), took]
    })
    return { code: statusOf(code, signal), epilogue, seconds }
  })()
  return { process: child, ended }
}

type Exit = [code: number | null, signal: NodeJS.Signals | null]

/** As a shell tells it: a signal counts from 128. */
const statusOf = (code: Exit[0], signal: Exit[1]) => code ?? 128 + os.constants.signals[signal!]

const colour = () => (process.stdout.isTTY ? ['--color'] : [])

async function runAll(): Promise<number> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-lanes-'))
  const lanes = lanesOf(testFiles(), readSeconds(), laneCount).map((files, i) => startLane(files, i + 1, folder))
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => lanes.forEach((lane) => lane.process.kill(name)))
  const ends = await Promise.all(lanes.map(({ ended }) => ended))
  const unreached = unreachedStatuses(folder)
  fs.rmSync(folder, { recursive: true })
  const seconds = new Map<string, number>()
  for (const [i, end] of ends.entries()) {
    let sum = 0
    for (const [file, took] of end.seconds) {
      seconds.set(file, (seconds.get(file) ?? 0) + took)
      sum += took
    }
    console.log(`\nLane ${i + 1} of ${laneCount}, ${Math.round(sum)} s, exit code ${end.code}:`)
    console.log(end.epilogue.join('\n'))
  }
  const longest = [...seconds].toSorted(([, a], [, b]) => b - a).slice(0, 10)
  console.log(`The longest:${longest.map(([file, took]) => `\n  ${took.toFixed(1).padStart(6)} s  ${file}`).join('')}`)
  const code = Math.max(...ends.map((end) => end.code))
  if (process.env['RENEW_TEST_SECONDS'] === 'true' && code === 0) renew(seconds)
  for (const status of unreached) console.log(`The API is described to answer this, and no test has met it: ${status}`)
  return Math.max(code, Number(unreached.length > 0))
}

/** What the description of the API has and no lane was answered. */
function unreachedStatuses(folder: string): string[] {
  const lanes = fs
    .readdirSync(folder)
    .filter((name) => name.endsWith('.statuses'))
    .map((name) => JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8')) as Statuses)
  const reached = new Set(lanes.flatMap((lane) => lane.reached))
  return (lanes[0]?.described ?? []).filter((status) => !reached.has(status))
}

interface Statuses {
  described: string[]
  reached: string[]
}

function renew(seconds: Map<string, number>): void {
  const rounded = [...seconds].map(([file, took]): [string, number] => [file, Math.max(1, Math.round(took))])
  const sorted = Object.fromEntries(rounded.toSorted(([a], [b]) => (a < b ? -1 : 1)))
  fs.writeFileSync(secondsFile, `${JSON.stringify(sorted, null, 2)}\n`)
}

async function runOne(args: string[]): Promise<number> {
  const child = spawn(process.execPath, [mocha, ...args], { cwd: root, stdio: 'inherit' })
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => child.kill(name))
  const [code, signal] = (await once(child, 'exit')) as Exit
  return statusOf(code, signal)
}

const args = process.argv.slice(2)
process.exitCode = args.length > 0 ? await runOne(args) : await runAll()
