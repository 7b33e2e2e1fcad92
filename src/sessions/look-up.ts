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
 * Makes the look-up of the token check.
 *
 * Nothing is believed of a Redis that may have forgotten endings: an answer counts if Redis is known to go on from where
 * it was, before the question and when the answer is there; otherwise Redis is asked once more.
 *
 * @returns what looks up one digest; it throws AppError `unavailable`
 */
export function createLookUp(
  redis: Redis & SessionScripts,
  continuity: Pick<Continuity, 'sourceOf' | 'established'>,
  keys: Keys,
): (accessDigest: string) => Promise<LookedUp> {
  async function believed<T>(key: string, ask: () => Promise<T>): Promise<T> {
    for (let isRepeated = false; ; isRepeated = true) {
      await continuity.established(key)
      const source = continuity.sourceOf(key)
      const answer = await ask()
      if (source && continuity.sourceOf(key) === source) return answer
      if (isRepeated) throw new AppError('unavailable')
    }
  }
  return isCluster(redis) ? lookUpInTwoSteps(redis, keys, believed) : lookUpTogether(redis, keys, believed)
}

type Believed = <T>(key: string, ask: () => Promise<T>) => Promise<T>

/**
 * All checks that arrive in one turn of the event loop go to Redis together.
 *
 * Nothing waits for company: what is there when the turn ends is sent. Under load that makes one write, one read and
 * one script of hundreds of checks; alone, a check is one round trip (figures: bench/README.md).
 */
function lookUpTogether(redis: SessionScripts, keys: Keys, believed: Believed) {
  let waiting: Waiting[] = []

  async function send(batch: Waiting[]): Promise<void> {
    const pointers = batch.map(({ accessDigest }) => keys.access(accessDigest))
    try {
      const found = await believed(pointers[0]!, () =>
        fromRedis(redis.latchkeyLookUp(batch.length, ...pointers, keys.sessionsStart)),
      )
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

  return (accessDigest: string) =>
    new Promise<LookedUp>((resolve, reject) => {
      if (waiting.push({ accessDigest, resolve, reject }) === 1) setImmediate(sendAll)
    })
}

/** In a cluster the pointer and the session lie on different servers. The pointer of a token never says another thing. */
function lookUpInTwoSteps(redis: Redis, keys: Keys, believed: Believed) {
  return async (accessDigest: string): Promise<LookedUp> => {
    const pointer = (await fromRedis(unlessOfAnotherType(redis.get(keys.access(accessDigest))))) ?? null
    const target = parsePointer(pointer)
    if (!target) return { pointer, session: null, card: null }
    const key = keys.sessions(target.userId)
    const held = await believed(key, () => fromRedis(unlessOfAnotherType(redis.hmget(key, target.sessionId, 'user'))))
    return { pointer, session: held?.[0] ?? null, card: held?.[1] ?? null }
  }
}

/** A key that somebody made of another type holds nothing. */
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
