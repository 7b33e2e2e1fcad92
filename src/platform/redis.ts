import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, Command, Redis as Node } from 'ioredis'
import { AppError } from '../errors.ts'
import type { Log } from './log.ts'
import { parseRedisUrl, type RedisPlace } from './redis-url.ts'
import { connectThroughSentinels } from './sentinels.ts'

/** One server of Redis, or a cluster of them. */
export type Redis = Node | Cluster
export type { Cluster, Node }

const retryMinMs = 50
const retryMaxMs = 500
/** How often a cluster is asked who has which slots, besides when somebody was found to have moved. */
const slotsRefreshMs = 5000

/** Is told of each command that was answered or has failed, and how long that took. */
export type OnCommand = (name: string, durationMs: number) => void

/**
 * Connects to Redis, for life: a lost connection is made again, and nobody waits for it for long.
 *
 * The client's defaults would hold a request for ten seconds and may run a command twice after a reconnect. Here a
 * command is answered within `timeoutMs` or fails, and is never sent twice. A connection on which nothing comes back for
 * longer than that is dropped, so that commands do not pile up behind it.
 *
 * A connection that breaks is made again at once, and only what was under way fails: commands that come in those few
 * milliseconds wait for it. When that first attempt fails Redis is away, and commands are refused without waiting.
 *
 * @param url as {@link parseRedisUrl} reads it
 */
export function openRedis({
  url,
  timeoutMs,
  onCommand,
  log,
}: {
  url: string
  timeoutMs: number
  onCommand?: OnCommand | undefined
  log: Log
}): Redis {
  const place = parseRedisUrl(url)
  if (!place) throw new Error('REDIS_URL leads nowhere')
  let cause: string | undefined
  let lost = false
  const retryDelayMs = (attempt: number) => Math.min((attempt - 1) * retryMinMs, retryMaxMs)
  const nodeOptions = {
    connectionName: 'latchkey',
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    socketTimeout: Math.round(timeoutMs * 1.5),
    disconnectTimeout: timeoutMs,
    // How often a Redis that loads its data is asked whether it is done: by default it would be every ten seconds.
    maxLoadingRetryTime: retryMaxMs,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // A primary that was made a replica keeps its connections; the next one may lead to the new primary.
    reconnectOnError(error: Error) {
      if (!error.message.startsWith('READONLY')) return false
      cause = causeOf(error)
      return true
    },
  }
  const redis = connect(place)
  sendNothingLate(redis)
  if (onCommand) timeCommands(redis, onCommand)
  redis.on('ready', () => {
    redis.options.enableOfflineQueue = true
    lost = false
    cause = undefined
    log('redis.ready')
  })
  redis.on('error', (error: Error) => {
    cause = causeOf(error)
  })
  redis.on('reconnecting', () => {
    if (!lost) log('redis.lost', { ...(cause !== undefined && { error: cause }) })
    lost = true
  })
  if (isCluster(redis)) tellOfParts(redis, log)
  return redis

  function connect(to: RedisPlace): Redis {
    const retryStrategy = (attempt: number) => {
      redis.options.enableOfflineQueue = attempt === 1
      return retryDelayMs(attempt)
    }
    const options = { ...nodeOptions, enableOfflineQueue: false, retryStrategy }
    if (to.kind === 'socket') return new Node({ ...options, path: to.path })
    if (to.kind === 'single') return new Node(to.url, options)
    if (to.kind === 'sentinel')
      return connectThroughSentinels(to, options, (attempt) => {
        redis.options.enableOfflineQueue = false
        return retryDelayMs(attempt)
      })
    const cluster = new Cluster(to.hosts, {
      redisOptions: { ...nodeOptions, ...to.login, ...(to.tls && { tls: {} }) },
      enableOfflineQueue: false,
      clusterRetryStrategy: retryStrategy,
      // What was under way when a connection broke may have been done: it fails, like everywhere, and is not sent again.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      slotsRefreshTimeout: timeoutMs,
      slotsRefreshInterval: slotsRefreshMs,
      // A certificate is for a name, and looking that up here would leave an address to check it against.
      ...(to.tls && { dnsLookup: (name, found) => found(null, name) }),
    })
    return boundWaits(cluster, timeoutMs)
  }
}

export function isCluster(redis: Redis): redis is Cluster {
  return redis instanceof Cluster
}

/** The servers that take writes: one, or those of the parts of a cluster that are known to be there. */
export function primariesOf(redis: Redis): Node[] {
  return isCluster(redis) ? redis.nodes('master') : [redis]
}

/**
 * The servers that take writes, for whoever must not take a cluster that was not met yet for an empty one.
 *
 * @throws AppError `unavailable`
 */
export function knownPrimariesOf(redis: Redis): Node[] {
  const primaries = primariesOf(redis)
  if (primaries.length === 0) throw new AppError('unavailable')
  return primaries
}

/** Waits until a fresh connection stands, or has failed: what follows then says so. */
export async function connected(redis: Redis, waitMs: number): Promise<void> {
  if (redis.status === 'ready') return
  const settled = new Promise<void>((resolve) => {
    redis.once('ready', resolve)
    redis.once('error', () => resolve())
  })
  await Promise.race([settled, delay(waitMs, undefined, { ref: false })])
}

/** The server that takes the writes of a key, as far as is known; undefined while it is away. */
export function primaryOf(redis: Redis, key: string): Node | undefined {
  if (!isCluster(redis)) return redis
  const place = redis.slots[new Command('get', [key]).getSlot()]?.[0]
  return redis.nodes('master').find(({ options: { host, port } }) => `${host}:${port}` === place)
}

/** Calls back for every server that there is or will be, before anything is asked of it. */
export function onNode(redis: Redis, met: (node: Node) => void): void {
  if (isCluster(redis)) redis.on('+node', met)
  else met(redis)
}

/** Calls back when it may have changed who takes the writes. */
export function onRoles(redis: Redis, changed: () => void): void {
  if (isCluster(redis)) redis.on('refresh', changed)
}

/** Keeps what was refused while it waited for a connection from being sent when there is one. */
function sendNothingLate(redis: Redis): void {
  const guard = (to: Redis) => {
    const send = to.sendCommand.bind(to) as (...all: unknown[]) => unknown
    to.sendCommand = (command: Parameters<Node['sendCommand']>[0], ...rest: unknown[]) =>
      (command as unknown as { isSettled: boolean }).isSettled ? command.promise : send(command, ...rest)
  }
  guard(redis)
  if (isCluster(redis)) onNode(redis, guard)
}

/**
 * Sends a command by one write with all that are sent so in this turn of the event loop: a system call for each takes
 * longer than most of them do. In a cluster each goes to a server of its own, at once.
 */
export function sendTogether<T>(redis: Redis, send: () => T): T {
  const stream = isCluster(redis) ? undefined : redis.stream
  if (stream?.writableCorked === 0) {
    stream.cork()
    process.nextTick(() => stream.uncork())
  }
  return send()
}

/** Logs once when a server of a cluster is lost, and when it is there again; it is tried for each command that needs it. */
function tellOfParts(cluster: Cluster, log: Log): void {
  const lost = new Set<string>()
  onNode(cluster, (node) => {
    const address = `${node.options.host}:${node.options.port}`
    let cause: string | undefined
    node.on('error', (error: Error) => {
      cause = causeOf(error)
    })
    node.on('end', () => {
      if (cluster.status === 'ready' && !lost.has(address)) {
        lost.add(address)
        log('redis.lost', { address, ...(cause !== undefined && { error: cause }) })
      }
    })
    node.on('ready', () => {
      if (lost.delete(address)) log('redis.ready', { address })
    })
  })
}

/** Bounds the wait for an answer of a cluster as a whole; each redirection and each server would have its own time. */
function boundWaits(cluster: Cluster, timeoutMs: number): Cluster {
  const send = cluster.sendCommand.bind(cluster)
  cluster.sendCommand = (command, ...rest) => {
    command.setTimeout(timeoutMs)
    return send(command, ...rest)
  }
  return cluster
}

/**
 * Times every command, from when it is given to the client. One that waits for a new connection is given twice, and so is
 * one that a cluster passes on to a server.
 */
function timeCommands(redis: Redis, onCommand: OnCommand): void {
  const timed = new WeakSet<object>()
  const time = (to: Redis) => {
    const send = to.sendCommand.bind(to) as Node['sendCommand']
    to.sendCommand = (command: Parameters<typeof send>[0], ...rest: unknown[]) => {
      if (!timed.has(command)) {
        timed.add(command)
        const startedAt = performance.now()
        const note = () => onCommand(command.name, performance.now() - startedAt)
        command.promise.then(note, note)
      }
      return (send as (...all: unknown[]) => unknown)(command, ...rest)
    }
  }
  time(redis)
  if (isCluster(redis)) onNode(redis, time)
}

/** The system's code for an error, or the first word of what Redis said: never its text. */
function causeOf(error: Error): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : (/^[A-Z]+(?= )/.exec(error.message)?.[0] ?? error.name)
}

/**
 * Runs commands and turns every failure into `unavailable`.
 *
 * An error from Redis never means "not found": LOADING, OOM, READONLY or a time-out say nothing about the token.
 *
 * @throws AppError `unavailable`
 */
export async function fromRedis<T>(commands: Promise<T>): Promise<T> {
  try {
    return await commands
  } catch (error) {
    throw error instanceof AppError ? error : new AppError('unavailable', { cause: error })
  }
}
