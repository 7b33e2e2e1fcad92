/** How soon a process serves, and what it holds when it has nothing to do. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { progress } from '../dev/process.ts'
import { startArgs } from '../dev/start-args.ts'
import { createClient, type Client } from './client.ts'
import { cpuSecondsOf } from './cores.ts'
import { inLanes } from './lanes.ts'
import { password, register } from './people.ts'
import { openSession, root, type LocalServices, type Stage } from './stage.ts'
import { spreadOf, type Spread } from './statistics.ts'

export interface StartFigures {
  starts: number
  /** From the start of the program until it is asked for the first time and says yes, in milliseconds. */
  readyMs: Spread
  forwardAuthMs: Spread
  /** User and system time until then, in milliseconds; null where there is no /proc to ask. */
  cpuMs: Spread | null
  settleSeconds: number
  /** What the process holds; null where there is no /proc to ask. */
  untouched: ResidentMemory | null
  afterLoad: ResidentMemory | null
}

/** In bytes: all of it, its own, and of files that are mapped into it (the program of Node.js itself, libraries). */
export interface ResidentMemory {
  all: number
  own: number
  ofFiles: number
}

const pollMs = 2
const startMaxMs = 30_000
const logIns = 40
const checks = 20_000
const lanes = 16

/** Starts the built form again and again, on all cores and with its stores up, as a deployment replaces a process. */
export async function measureStart(
  stage: Stage,
  services: LocalServices,
  { starts, settleSeconds }: { starts: number; settleSeconds: number },
): Promise<StartFigures> {
  const { signal } = stage
  const token = (await openSession(services)).pair.accessToken
  const taken: { readyMs: number; forwardAuthMs: number; cpuMs: number | null }[] = []
  await startOnce(stage, token, async () => undefined) // so that its files are in the memory of the system
  for (let i = 0; i < starts; i++) {
    taken.push(await startOnce(stage, token, async () => undefined))
    progress(`start: ${i + 1} of ${starts}: ready after ${Math.round(taken.at(-1)!.readyMs)} ms`)
  }

  const memory: { untouched: ResidentMemory | null; afterLoad: ResidentMemory | null } = {
    untouched: null,
    afterLoad: null,
  }
  await startOnce(stage, token, async (child, client) => {
    progress(`start: ${settleSeconds} s for the process to settle`)
    await sleep(settleSeconds * 1000, undefined, { signal })
    memory.untouched = residentMemoryOf(child.pid!)
    progress(`start: ${logIns} logins and ${checks} checks, and ${settleSeconds} s to settle again`)
    const { email } = await register(client)
    await inLanes(logIns, lanes, () =>
      client.call('POST', '/v1/auth/login', { expect: 200, body: { email, password } }),
    )
    await inLanes(checks, lanes, () => client.call('GET', '/v1/protected', { expect: 200, token }))
    await sleep(settleSeconds * 1000, undefined, { signal })
    memory.afterLoad = residentMemoryOf(child.pid!)
  })
  const cpu = taken.flatMap(({ cpuMs }) => cpuMs ?? [])
  return {
    starts,
    readyMs: spreadOf(taken.map(({ readyMs }) => readyMs)),
    forwardAuthMs: spreadOf(taken.map(({ forwardAuthMs }) => forwardAuthMs)),
    cpuMs: cpu.length > 0 ? spreadOf(cpu) : null,
    settleSeconds,
    ...memory,
  }
}

/** Starts a process, times it, lets `use` look at it, and stops it. */
async function startOnce(
  { latchkeyEnv, freePort, signal }: Stage,
  token: string,
  use: (child: ChildProcess, client: Client) => Promise<void>,
) {
  const port = await freePort()
  const client = createClient(`http://127.0.0.1:${port}`)
  const env = { ...process.env, NODE_ENV: 'production', ...latchkeyEnv(), PORT: String(port) }
  const startedAt = performance.now()
  const child = spawn(process.execPath, startArgs, { cwd: root, env, stdio: 'ignore' })
  const exited = once(child, 'exit')
  try {
    const until = async (ask: string, shown?: string) => {
      while (performance.now() - startedAt < startMaxMs && child.exitCode === null) {
        const answer = await client.send('GET', ask, shown ? { token: shown } : {}).catch(() => null)
        if (answer?.status === 200) return performance.now() - startedAt
        await sleep(pollMs, undefined, { signal })
      }
      throw new Error(`a process that was started did not answer 200 to ${ask}`)
    }
    const readyMs = await until('/health/ready')
    const cpuSeconds = cpuSecondsOf(child.pid!)
    const forwardAuthMs = await until('/forward-auth', token)
    await use(child, client)
    return { readyMs, forwardAuthMs, cpuMs: cpuSeconds === null ? null : cpuSeconds * 1000 }
  } finally {
    client.close()
    child.kill('SIGTERM')
    await exited
  }
}

function residentMemoryOf(pid: number): ResidentMemory | null {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
    const bytes = (name: string) => Number(new RegExp(String.raw`^${name}:\s+(\d+) kB`, 'm').exec(status)?.[1]) * 1024
    return { all: bytes('VmRSS'), own: bytes('RssAnon'), ofFiles: bytes('RssFile') }
  } catch {
    return null
  }
}
