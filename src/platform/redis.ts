import { Redis } from 'ioredis'
import { AppError } from '../errors.ts'
import type { Log } from './log.ts'

export type { Redis } from 'ioredis'

const retryMaxMs = 500

/** Is told of each command that was answered or has failed, and how long that took. */
export type OnCommand = (name: string, durationMs: number) => void

/**
 * Connects to one Redis primary, for life: a lost connection is made again, and nobody waits for it for long.
 *
 * The client's defaults would hold a request for ten seconds and may run a command twice after a reconnect. Here a
 * command is answered within `timeoutMs` or fails, and is never sent twice. A connection on which nothing comes back for
 * longer than that is dropped, so that commands do not pile up behind it.
 *
 * A connection that breaks is made again at once, and only what was under way fails: commands that come in those few
 * milliseconds wait for it. When that first attempt fails Redis is away, and commands are refused without waiting.
 *
 * @param url `redis://`, `rediss://`, or `unix:` with the absolute path of a socket
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
  let cause: string | undefined
  let lost = false
  const options = {
    connectionName: 'latchkey',
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    socketTimeout: Math.round(timeoutMs * 1.5),
    disconnectTimeout: timeoutMs,
    // How often a Redis that loads its data is asked whether it is done: by default it would be every ten seconds.
    maxLoadingRetryTime: retryMaxMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy(attempt: number) {
      redis.options.enableOfflineQueue = attempt === 1
      return Math.min((attempt - 1) * 50, retryMaxMs)
    },
    // A primary that was made a replica keeps its connections; the next one may lead to the new primary.
    reconnectOnError(error: Error) {
      if (!error.message.startsWith('READONLY')) return false
      cause = causeOf(error)
      return true
    },
  }
  const redis = url.startsWith('unix:')
    ? new Redis({ ...options, path: url.slice('unix:'.length) })
    : new Redis(url, options)
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
  return redis
}

/** Times every command, from when it is given to the client; one that waits for a new connection is given twice. */
function timeCommands(redis: Redis, onCommand: OnCommand): void {
  const timed = new WeakSet<object>()
  const send = redis.sendCommand.bind(redis)
  redis.sendCommand = (command, stream) => {
    if (!timed.has(command)) {
      timed.add(command)
      const startedAt = performance.now()
      const note = () => onCommand(command.name, performance.now() - startedAt)
      command.promise.then(note, note)
    }
    return send(command, stream)
  }
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
