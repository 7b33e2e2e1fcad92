import { AppError } from '../errors.ts'
import type { Continuity } from '../platform/continuity.ts'
import { fromRedis, isCluster, type Redis } from '../platform/redis.ts'
import { parsePointer, type Keys } from './keys.ts'
import type { SessionScripts } from './scripts.ts'

/** What Redis holds for an access token; nulls where it holds nothing. */
export interface LookedUp {
  pointer: string | null
  session: string | null
  card: string | null
}

const batchMax = 256

/**
 * Makes the look-up of the token check: all that arrive in one turn of the event loop go to Redis together.
 *
 * Nothing waits for company: what is there when the turn ends is sent. Under load that makes one write, one read and
 * one script of hundreds of checks; alone, a check is one round trip (figures: bench/README.md). In a cluster the pointer
 * and the session lie on different servers, so there it is two.
 *
 * Nothing is believed of a Redis that may have forgotten endings: the answer counts if Redis is known to go on from where
 * it was when the answer is there; otherwise that is waited for, and Redis asked again.
 *
 * @throws AppError `unavailable`, for every check of a batch that failed
 */
export function createLookUp(
  redis: Redis & SessionScripts,
  continuity: Pick<Continuity, 'holds' | 'established'>,
  keys: Keys,
): (accessDigest: string) => Promise<LookedUp> {
  let waiting: Waiting[] = []
  const ask = isCluster(redis) ? askEach : askTogether

  async function send(batch: Waiting[]): Promise<void> {
    try {
      let found = await ask(batch)
      if (!continuity.holds()) {
        await continuity.established()
        found = await ask(batch)
        if (!continuity.holds()) throw new AppError('unavailable')
      }
      batch.forEach(({ resolve }, i) => resolve(found[i]!))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  async function askTogether(batch: Waiting[]): Promise<LookedUp[]> {
    const pointers = batch.map(({ accessDigest }) => keys.access(accessDigest))
    const found = await fromRedis(redis.latchkeyLookUp(batch.length, ...pointers, keys.sessionsStart))
    return batch.map((_, i) => ({
      pointer: found[i * 3] ?? null,
      session: found[i * 3 + 1] ?? null,
      card: found[i * 3 + 2] ?? null,
    }))
  }

  async function askEach(batch: Waiting[]): Promise<LookedUp[]> {
    return fromRedis(Promise.all(batch.map(({ accessDigest }) => askOne(accessDigest))))
  }

  async function askOne(accessDigest: string): Promise<LookedUp> {
    const pointer = (await unlessOfAnotherType(redis.get(keys.access(accessDigest)))) ?? null
    const target = parsePointer(pointer)
    if (!target) return { pointer, session: null, card: null }
    const held = await unlessOfAnotherType(redis.hmget(keys.sessions(target.userId), target.sessionId, 'user'))
    const [session, card] = held ?? []
    return { pointer, session: session ?? null, card: card ?? null }
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

/** A key that somebody made of another type holds nothing for its own token, and disturbs no other of the batch. */
async function unlessOfAnotherType<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('WRONGTYPE')) return undefined
    throw error
  }
}

interface Waiting {
  accessDigest: string
  resolve: (found: LookedUp) => void
  reject: (error: unknown) => void
}
