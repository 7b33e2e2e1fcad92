/** Programs that are run, and servers that outlive the one who started them. */
import { spawn, spawnSync, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, markOf } from './lock.mjs'
import type { Owner } from './places.ts'

/** A line for whoever waits in front of the terminal. */
export function progress(text: string): void {
  process.stderr.write(`latchkey: ${text}\n`)
}

/** A text as one word for a shell. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}

export interface Outcome {
  status: number
  output: string
}

/**
 * Runs a program to its end. When the signal is aborted the program is told to stop, and its end is still awaited: so
 * nothing of it is left when this rejects.
 */
export async function run(
  command: string,
  args: string[],
  { signal, ...options }: Omit<SpawnOptions, 'signal'> & { signal?: AbortSignal | undefined } = {},
): Promise<Outcome> {
  signal?.throwIfAborted()
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  const stop = () => child.kill('SIGTERM')
  signal?.addEventListener('abort', stop)
  try {
    await once(child, 'close')
    signal?.throwIfAborted()
    if (child.exitCode === null) throw new Error(`${command} was ended by ${child.signalCode}`)
    return { status: child.exitCode, output }
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

/** A server that is running, whoever started it. */
export interface Service {
  url: string
  pid: number
  /** Lets it finish properly, also when it is paused. */
  stop(): Promise<void>
  /** SIGKILL to it and its children, as when the power goes; resolves when they are gone. */
  kill(): Promise<void>
  /** SIGSTOP to it and its children: still there, no longer answering. */
  pause(): void
  /** SIGCONT: takes a pause back. */
  resume(): void
}

export interface Launch {
  /** The state folder: the server's log and the record of its process are kept there. */
  dir: string
  /** What it is called there: `<name>.log`, `<name>.process`. */
  name: string
  command: string
  args: string[]
  cwd: string
  env?: NodeJS.ProcessEnv
  owner?: Owner | undefined
  /** Whether it is to end with this process. */
  ephemeral: boolean
  /** Whether it takes work by now. */
  isReady: () => boolean | Promise<boolean>
  signal?: AbortSignal | undefined
}

const startTimeoutMs = 60_000
const stopTimeoutMs = 20_000
const pollMs = 5

/** The mark of the server that runs in a state folder under this name, if it still does. */
export function runningServer(dir: string, name: string): string | undefined {
  try {
    const mark = fs.readFileSync(path.join(dir, `${name}.process`), 'utf8')
    return isAlive(mark) ? mark : undefined
  } catch {
    return undefined
  }
}

/**
 * Starts a server in a session of its own, so that Ctrl-C does not reach it, and waits until it is ready; or waits for
 * the one that runs already. The shell before it starts the server only once its process is on record: if we are killed
 * at any moment, either there is no server or the next start finds it.
 */
export async function launch(server: Launch): Promise<string> {
  const { dir, name, signal } = server
  const running = runningServer(dir, name)
  if (running) {
    progress(`using the ${name} that is running`)
    await readiness(server, running)
    return running
  }
  const log = fs.openSync(path.join(dir, `${name}.log`), 'w', 0o600)
  signal?.throwIfAborted()
  const child = spawn('/bin/sh', ['-c', 'read -r _ && exec "$@" </dev/null', 'sh', server.command, ...server.args], {
    cwd: server.cwd,
    detached: true,
    env: { ...process.env, ...server.env },
    stdio: ['pipe', log, log],
    ...server.owner,
  })
  fs.closeSync(log)
  child.stdin?.on('error', () => undefined) // it died already; readiness() says why
  await once(child, 'spawn')
  child.unref()
  const mark = markOf(child.pid ?? 0) ?? ''
  fs.writeFileSync(path.join(dir, `${name}.process`), mark, { mode: 0o600 })
  if (server.ephemeral) endWithUs(mark)
  child.stdin?.end('go\n')
  try {
    await readiness(server, mark)
  } catch (error) {
    await killAll(mark)
    throw error
  }
  return mark
}

async function readiness({ dir, name, isReady, signal }: Launch, mark: string): Promise<void> {
  const deadline = Date.now() + startTimeoutMs
  while (!(await isReady())) {
    if (isAlive(mark) && Date.now() < deadline) {
      await sleep(pollMs, undefined, { signal })
      continue
    }
    const why = isAlive(mark) ? `is not ready after ${startTimeoutMs / 1000} s` : 'ended at once'
    const lines = fs
      .readFileSync(path.join(dir, `${name}.log`), 'utf8')
      .trimEnd()
      .split('\n')
    throw new Error(`${name} ${why}. The end of its log:\n${lines.slice(-8).join('\n')}`)
  }
}

export function serviceOf(url: string, mark: string): Service {
  return {
    url,
    pid: Number.parseInt(mark, 10),
    stop: () => stopServer(mark),
    kill: () => killAll(mark),
    pause: () => signalAll(mark, 'SIGSTOP'),
    resume: () => signalAll(mark, 'SIGCONT'),
  }
}

/** Ends a server as its own shutdown does; by force when that takes too long. SIGINT means this to both of ours. */
export async function stopServer(mark: string): Promise<void> {
  signalAll(mark, 'SIGCONT')
  signalOne(mark, 'SIGINT')
  if (!(await ended([mark], stopTimeoutMs))) await killAll(mark)
}

/** Stops first, so that a postmaster cannot replace the children that are killed. */
async function killAll(mark: string): Promise<void> {
  signalAll(mark, 'SIGSTOP')
  const marks = [...childrenOf(mark), mark]
  for (const each of marks) signalOne(each, 'SIGKILL')
  await ended(marks, stopTimeoutMs)
}

/** The parent first: once it is stopped, it has no further children. */
function signalAll(mark: string, name: NodeJS.Signals): void {
  signalOne(mark, name)
  for (const child of childrenOf(mark)) signalOne(child, name)
}

function signalOne(mark: string, name: NodeJS.Signals): void {
  try {
    if (isAlive(mark)) process.kill(Number.parseInt(mark, 10), name)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

async function ended(marks: string[], timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs
  while (marks.some(isAlive)) {
    if (Date.now() > deadline) return false
    await sleep(pollMs)
  }
  return true
}

/** The marks of the processes a server has started; slim containers have no ps, macOS has no /proc. */
function childrenOf(mark: string): string[] {
  if (!isAlive(mark)) return []
  const pairs =
    process.platform === 'linux'
      ? fs.readdirSync('/proc').map((pid) => [pid, parentOf(pid)])
      : spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
          .stdout.split('\n')
          .map((line) => line.trim().split(/\s+/))
  return pairs
    .filter(([, parent]) => parent === String(Number.parseInt(mark, 10)))
    .flatMap(([pid]) => markOf(Number(pid)) ?? [])
}

function parentOf(pid: string): string | undefined {
  try {
    return /^\d+$/.test(pid) ? /.*\) \S+ (\d+)/s.exec(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1] : undefined
  } catch {
    return undefined // it has just ended
  }
}

const endingWithUs = new Set<string>()

/** Tests that end without their clean-up (an uncaught error, process.exit) should leave no server either. */
function endWithUs(mark: string): void {
  if (endingWithUs.size === 0) {
    process.on('exit', () => {
      for (const each of endingWithUs) {
        signalAll(each, 'SIGCONT')
        signalOne(each, 'SIGINT')
      }
    })
  }
  endingWithUs.add(mark)
}
