import { Redis } from 'ioredis'
import { AppError } from '../errors.ts'
import type { Log } from './log.ts'

export type { Redis } from 'ioredis'

/**
 * Connects to one Redis primary, for life: a lost connection is made again, and nothing waits for it.
 *
 * The client's defaults would hold a request for ten seconds and may run a command twice after a reconnect. Here a
 * command is answered within `timeoutMs` or fails, is never queued while there is no connection, and is never resent.
 * A connection that owes an answer for longer than that is dropped, so that commands do not pile up behind it.
 *
 * @param url `redis://`, `rediss://`, or `unix:` with the absolute path of a socket
 */
export function openRedis({ url, timeoutMs, log }: { url: string; timeoutMs: number; log: Log }): Redis {
  const options = {
    connectionName: 'latchkey',
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    socketTimeout: Math.round(timeoutMs * 1.5),
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt: number) => Math.min(attempt * 50, 500),
    reconnectOnError: (error: Error) => /^(READONLY|UNBLOCKED)/.test(error.message),
  }
  const redis = url.startsWith('unix:')
    ? new Redis({ ...options, path: url.slice('unix:'.length) })
    : new Redis(url, options)
  let lost = false
  redis.on('ready', () => {
    lost = false
    log('redis.ready')
  })
  redis.on('error', (error: Error) => {
    if (!lost) log('redis.lost', { error: error.name })
    lost = true
  })
  return redis
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
