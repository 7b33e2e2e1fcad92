/** Private PostgreSQL and Redis for development, tests and benchmarks. Never imported by src/. */
import fs from 'node:fs'
import path from 'node:path'
import { isAlive, markOf, withLock } from './lock.mjs'
import { dataDir, shortSocketDir, stateBase, stateDir } from './places.ts'
import { startPostgres } from './postgres.ts'
import { progress, runningServer, shellQuoted, stopServer } from './process.ts'
import { provide } from './provide.ts'
import { redisSocket, startRedis } from './redis.ts'
import { startCluster, startSentinel } from './topologies.ts'

export { stateDir } from './places.ts'
export { distributionsPostgres, startPostgres } from './postgres.ts'
export type { Service } from './process.ts'
export { provide } from './provide.ts'
export { startRedis, type TlsFiles } from './redis.ts'
export {
  freePorts,
  primaryName,
  startCluster,
  startSentinel,
  startSentinelProcess,
  startSingle,
  type Login,
  type RedisNode,
} from './topologies.ts'

export interface Stores {
  env: { DATABASE_URL: string; REDIS_URL: string }
  /** What to type in the project's folder to look into this Redis; undefined with a given REDIS_URL or no redis-cli. */
  redisCli: string | undefined
  /** Stops them unless another process still uses them; ephemeral ones are deleted. */
  stop(): Promise<void>
}

/** In what form there is a Redis: one server, one primary that Sentinel watches, or a Cluster. */
export type Topology = keyof typeof starters

const starters = { single: startRedis, sentinel: startSentinel, cluster: startCluster }

/**
 * Starts what DATABASE_URL and REDIS_URL do not name already. Who asks for the same name shares the same stores, also
 * those a killed process left running; the last one who uses them stops them. Ephemeral ones are for one run: give
 * them a name with the pid in it.
 */
export async function startStores({
  name,
  ephemeral,
  topology = 'single',
  signal,
}: {
  name: string
  ephemeral: boolean
  topology?: Topology
  signal?: AbortSignal | undefined
}): Promise<Stores> {
  const { DATABASE_URL, REDIS_URL } = process.env
  if (DATABASE_URL && REDIS_URL)
    return { env: { DATABASE_URL, REDIS_URL }, redisCli: undefined, stop: () => Promise.resolve() }
  const dir = stateDir(name)
  const lock = `${dir}.lock`
  const leave = () => withLock(lock, () => release(dir, ephemeral))
  const start = async () => {
    claim(dir, ephemeral)
    const [postgres, redis] = await Promise.allSettled([
      DATABASE_URL ? undefined : startPostgres({ dir, ephemeral, signal }),
      REDIS_URL ? undefined : starters[topology]({ dir, ephemeral, signal }),
      removeLeftovers().catch((error: unknown) => progress(`leftovers of killed test runs stay: ${String(error)}`)),
    ])
    let redisCli: string | undefined
    try {
      for (const each of [postgres, redis]) if (each.status === 'rejected') throw each.reason
      if (!REDIS_URL && topology === 'single') redisCli = await redisCliLine(dir, ephemeral, signal)
      signal?.throwIfAborted()
    } catch (error) {
      await release(dir, ephemeral)
      throw error
    }
    return {
      env: {
        DATABASE_URL: DATABASE_URL || (valueOf(postgres)?.url ?? ''),
        REDIS_URL: REDIS_URL || (valueOf(redis)?.url ?? ''),
      },
      redisCli,
      stop: leave,
    }
  }
  return withLock(lock, start, { signal, onWait: () => progress('waiting for another process that starts or stops') })
}

function valueOf<T>(result: PromiseSettledResult<T>): T | undefined {
  return result.status === 'fulfilled' ? result.value : undefined
}

/** In development Redis has a short, fixed address, wherever its socket really is. */
async function redisCliLine(
  dir: string,
  ephemeral: boolean,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    await provide('redis-cli', { signal })
  } catch (error) {
    progress(String(error)) // a Redis without it serves as well
    return undefined
  }
  const socket = redisSocket(dir)
  if (ephemeral) return `.data/bin/redis-cli -s ${shellQuoted(socket)}`
  const link = path.join(dataDir, 'redis.sock')
  fs.rmSync(link, { force: true })
  fs.symlinkSync(socket.startsWith(dataDir) ? path.relative(dataDir, socket) : socket, link)
  return '.data/bin/redis-cli -s .data/redis.sock'
}

const ownersDir = (dir: string) => path.join(dir, 'owners')
const ephemeralMark = (dir: string) => path.join(dir, 'ephemeral')

/** Notes that this process uses the stores of a folder. */
function claim(dir: string, ephemeral: boolean): void {
  fs.mkdirSync(ownersDir(dir), { recursive: true })
  fs.writeFileSync(path.join(ownersDir(dir), markOf(process.pid) ?? ''), '')
  if (ephemeral) fs.writeFileSync(ephemeralMark(dir), '') // only now: without an owner it would look abandoned
}

/**
 * A state folder for servers that a test or a benchmark starts itself, also durable ones. Give it back with discard();
 * if this process is killed, the next start of any stores does that.
 */
export function temporaryDir(label: string): string {
  const dir = stateDir(`${label}-${process.pid}`)
  claim(dir, true)
  return dir
}

/** Who uses the stores of a folder; those who were killed do not count. */
function liveOwners(dir: string): string[] {
  return fs.existsSync(ownersDir(dir)) ? fs.readdirSync(ownersDir(dir)).filter(isAlive) : []
}

/** Takes our claim back; the last one stops what runs, whoever started it. */
async function release(dir: string, ephemeral: boolean): Promise<void> {
  fs.rmSync(path.join(ownersDir(dir), markOf(process.pid) ?? ''), { force: true })
  if (liveOwners(dir).length > 0) {
    progress('PostgreSQL and Redis stay up, another process uses them')
    return
  }
  fs.rmSync(ownersDir(dir), { recursive: true, force: true })
  if (ephemeral) await withLock(leftoversLock(), () => discard(dir))
  else await stopServersIn(dir)
}

async function stopServersIn(dir: string): Promise<void> {
  const marks = ['postgres', 'redis'].flatMap((name) => runningServer(dir, name) ?? [])
  await Promise.all(marks.map(stopServer))
}

/** Stops every server at or below a folder and deletes it: for tests that started their own. */
export async function discard(dir: string): Promise<void> {
  if (!fs.existsSync(dir)) return
  const records = fs.readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.process'))
  const folders = new Set(records.map((record) => path.dirname(path.join(dir, record))))
  await Promise.all([...folders].map(stopServersIn))
  for (const folder of folders) fs.rmSync(shortSocketDir(folder), { recursive: true, force: true })
  fs.rmSync(dir, { recursive: true, force: true })
}

const leftoversLock = () => path.join(stateBase(), 'leftovers.lock')

/** Ends and deletes what killed test runs have left; one process at a time, or two would delete the same. */
async function removeLeftovers(): Promise<void> {
  const base = stateBase()
  await withLock(leftoversLock(), async () => {
    for (const name of fs.readdirSync(base)) {
      const dir = path.join(base, name)
      if (fs.existsSync(ephemeralMark(dir)) && liveOwners(dir).length === 0) await discard(dir)
    }
  })
}
