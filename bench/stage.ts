/** The stores and servers of one run: each a process of its own, and all of them gone when the run is over. */
import { randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import fs from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import path from 'node:path'
import { Redis } from 'ioredis'
import knexModule, { type Knex } from 'knex'
import { launch, run, serviceOf } from '../dev/process.ts'
import { startArgs } from '../dev/start-args.ts'
import { discard, startCluster, startPostgres, startRedis, temporaryDir, type Service } from '../dev/stores.ts'
import { readConfig } from '../src/config.ts'
import { createServices } from '../src/services.ts'
import { findCores, type Cores } from './cores.ts'

export const root = path.resolve(import.meta.dirname, '..')

export type Stage = Awaited<ReturnType<typeof openStage>>
export type LocalServices = ReturnType<typeof createServices>

/** A server of the stage. */
export interface Server extends Service {
  /** Makes it a new process, at another address. */
  restart(): Promise<void>
}

/** What a browser sends: the length of this text is part of what a session takes in Redis. */
const userAgent =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36'

/**
 * Opens the stage with PostgreSQL and Redis on it, both as durable as in production (fsync, append-only file).
 *
 * Whoever opens it closes it, whatever happens in between.
 */
export async function openStage(signal: AbortSignal) {
  const dir = temporaryDir('bench')
  const cores = await findCores()
  const closers: (() => Promise<unknown>)[] = [() => discard(dir)]

  /** Stops everything in the opposite order; one that fails does not keep the others from being stopped. */
  async function close(): Promise<void> {
    for (const closer of closers.splice(0).toReversed()) await closer().catch((error: unknown) => console.error(error))
  }

  /** Starts a server that writes its address into its log, and waits until it has. */
  async function startServer(
    name: string,
    args: string[],
    {
      env = {},
      pinned = true,
      isReady,
    }: { env?: NodeJS.ProcessEnv; pinned?: boolean; isReady?: (url: string) => Promise<boolean> } = {},
  ): Promise<Server> {
    const address = () => {
      const lines = fs.readFileSync(path.join(dir, `${name}.log`), 'utf8').split('\n')
      const ofAll = lines.filter((line) => !line.includes('"ops.started"')).join('\n')
      return /http:\/\/[\w.]+:\d+/.exec(ofAll)?.[0]
    }
    const [command, ...all] = [...(cores && pinned ? ['taskset', '-c', cores.server] : []), process.execPath, ...args]
    const start = async () => {
      const mark = await launch({
        dir,
        name,
        command: command!,
        args: all,
        cwd: root,
        env: { NODE_ENV: 'production', ...env },
        ephemeral: true,
        isReady: async () => {
          const url = address()
          return url !== undefined && (isReady === undefined || (await isReady(url)))
        },
        signal,
      })
      return serviceOf(address()!, mark)
    }
    const restart = async () => {
      await server.stop()
      Object.assign(server, await start())
    }
    const server = { ...(await start()), restart }
    closers.push(() => server.stop())
    return server
  }

  /** Starts another Redis that keeps nothing on disk and holds nothing else. */
  async function startFreshRedis(): Promise<Service> {
    const fresh = fs.mkdtempSync(path.join(dir, 'fresh-'))
    const started = await startRedis({ dir: fresh, ephemeral: true, port: await freePort(), signal })
    if (cores) await pin(started.pid, cores.rest)
    return started
  }

  /** Starts three primaries with a replica each, which keep nothing on disk, and gives their address. */
  async function startFreshCluster(): Promise<string> {
    const { url, nodes } = await startCluster({ dir: path.join(dir, 'cluster'), ephemeral: true, signal })
    for (const { port } of nodes) {
      const said = await connectRedis(`redis://127.0.0.1:${port}`).info('server')
      if (cores) await pin(Number(/^process_id:(\d+)/m.exec(said)?.[1]), cores.rest)
    }
    return url
  }

  /** Latchkey's own parts on a Redis, to prepare what a measurement needs without going over HTTP. */
  async function openServices(redisUrl: string): Promise<LocalServices> {
    const config = readConfig({ DATABASE_URL: postgres.url, REDIS_URL: redisUrl })
    const events = new EventEmitter()
    const services = createServices(config, { log: (event) => events.emit(event) })
    closers.push(() => services.close())
    await once(events, 'redis.ready') // it does not queue what comes too early
    await services.schema.migrate(signal)
    await services.settings.reread()
    services.markMigrated()
    return services
  }

  /** A connection as an operator has it. */
  function connectRedis(redisUrl: string): Redis {
    const connection = new Redis(redisUrl)
    closers.push(async () => connection.disconnect())
    return connection
  }

  /** A connection as an operator has it, without time-outs. */
  function connectPostgres(): Knex {
    const connection = knexModule({ client: 'pg', connection: postgres.url, pool: { min: 0, max: 1 } })
    closers.push(() => connection.destroy())
    return connection
  }

  /** What the built form has to know, as it would in production, and wide limits. */
  const latchkeyEnv = () => ({
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    HOST: '127.0.0.1',
    PORT: '0',
    OPS_PORT: '0',
    LOG_LEVEL: 'info',
    // Everybody here comes from one address, and more often than any address should.
    SETTING_LOGINS_PER_ADDRESS_MAX: '1000000',
    SETTING_REGISTRATIONS_PER_ADDRESS_MAX: '1000000',
    SETTING_WRONG_TOKENS_PER_ADDRESS_MAX: '1000000',
    SETTING_MAIL_REQUESTS_PER_ADDRESS_MAX: '1000000',
  })

  let postgres: Service
  let redis: Service
  try {
    postgres = await startPostgres({ dir, ephemeral: false, signal })
    redis = await startRedis({ dir, ephemeral: false, port: await freePort(), signal })
    if (cores) await pin(redis.pid, cores.rest)
  } catch (error) {
    await close()
    throw error
  }

  return {
    dir,
    cores,
    signal,
    redisUrl: redis.url,
    redisPid: redis.pid,
    redisVersion: async () =>
      /^redis_version:(\S+)/m.exec(await connectRedis(redis.url).info('server'))?.[1] ?? 'unknown',
    startFixed: () => startServer('fixed', ['--import', 'tsx', 'bench/servers/bare.ts', 'fixed']),
    startOneGet: ({ pinned = true }: { pinned?: boolean } = {}) =>
      startServer(pinned ? 'one-get' : 'one-get-unpinned', ['--import', 'tsx', 'bench/servers/bare.ts', 'redis'], {
        env: { REDIS_URL: redis.url },
        pinned,
      }),
    /**
     * Starts the built form as it runs in production, with nothing set but what has to be, and wide limits.
     *
     * @param name another one for each that is started
     * @param env what it has set besides
     * @param pinned whether it has one core, or all of them from its start
     */
    startLatchkey: (name = 'latchkey', env: NodeJS.ProcessEnv = {}, { pinned = true }: { pinned?: boolean } = {}) =>
      startServer(name, startArgs, {
        env: { ...latchkeyEnv(), ...env },
        pinned,
        isReady: async (url) => (await fetch(`${url}/health/ready`)).ok,
      }),
    /**
     * Starts the server of a peer, which keeps its sessions in a database of the same Redis that holds nothing else.
     *
     * @param name of its file in bench/peers/
     */
    startPeer: (name: string, redisUrl: string) =>
      startServer(name, [`bench/peers/${name}.mjs`], { env: { DATABASE_URL: postgres.url, REDIS_URL: redisUrl } }),
    latchkeyEnv,
    freePort,
    startFreshRedis,
    startFreshCluster,
    openServices,
    connectRedis,
    connectPostgres,
    close,
  }
}

/** Moves a process with all its threads to these cores. */
export async function pin(pid: number, cores: string): Promise<void> {
  await run('taskset', ['-acp', cores, String(pid)])
}

/** Lets a server have every core again. */
export async function unpin(pid: number, cores: Cores | null): Promise<void> {
  if (cores) await pin(pid, `${cores.server},${cores.rest}`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Opens a session of a person by Latchkey's own door, without the password. */
export async function openSession({ sessions }: LocalServices, userId: string = randomUUID()) {
  return sessions.open({
    userId,
    epoch: 0,
    card: cardOf(userId),
    client: { address: '203.0.113.7', userAgent },
    deviceName: 'Chrome on Linux',
  })
}

/** Who the person of such a session is: made up, and as long for everybody. */
export function cardOf(userId: string) {
  const name = userId.slice(0, 8)
  return { username: `user-${name}`, email: `user-${name}@example.com`, verified: true, role: 'user', updatedAt: 0 }
}
