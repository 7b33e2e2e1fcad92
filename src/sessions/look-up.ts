import { fromRedis } from '../platform/redis.ts'
import type { Keys } from './keys.ts'
import type { SessionScripts } from './scripts.ts'

/** What Redis holds for an access token; nulls where it holds nothing. */
export interface LookedUp {
  pointer: string | null
  session: string | null
  card: string | null
}

const batchMax = 256

/**
 * Makes the look-up of the token check: all that arrive in one turn of the event loop go to Redis as one script.
 *
 * Nothing waits for company: what is there when the turn ends is sent. Under load that makes one write, one read and
 * one script of hundreds of checks; alone, a check is one round trip (figures: bench/README.md).
 *
 * @throws AppError `unavailable`, for every check of a batch that failed
 */
export function createLookUp(redis: SessionScripts, keys: Keys): (accessDigest: string) => Promise<LookedUp> {
  let waiting: Waiting[] = []

  async function send(batch: Waiting[]): Promise<void> {
    const pointers = batch.map(({ accessDigest }) => keys.access(accessDigest))
    try {
      const found = await fromRedis(redis.latchkeyLookUp(batch.length, ...pointers, keys.sessionsStart))
      batch.forEach(({ resolve }, i) =>
        resolve({
          pointer: found[i * 3] ?? null,
          session: found[i * 3 + 1] ?? null,
          card: found[i * 3 + 2] ?? null,
        }),
      )
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  function sendAll(): void {
    const all = waiting
    waiting = []
    for (let i = 0; i < all.length; i += batchMax) void send(all.slice(i, i + batchMax))
  }

  return (accessDigest) =>
    new Promise((resolve, reject) => {
      if (waiting.push({ accessDigest, resolve, reject }) === 1) setImmediate(sendAll)
    })
}

interface Waiting {
  accessDigest: string
  resolve: (found: LookedUp) => void
  reject: (error: unknown) => void
}
