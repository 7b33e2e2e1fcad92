import { AppError } from '../errors.ts'
import type { Continuity } from '../platform/continuity.ts'
import { fromRedis, isCluster, primaryOf, type Cluster, type Node, type Redis } from '../platform/redis.ts'
import { parsePointer, type Keys, type Target } from './keys.ts'
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
 * All checks that arrive in one turn of the event loop go to Redis together, and nothing waits for company: what is there
 * when the turn ends is sent. Under load that makes one write and one read of hundreds of checks; alone, a check is one
 * round trip, or two in a cluster (figures: bench/README.md).
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
  /** @param asked keys of one server */
  async function believed<T>(asked: [string, ...string[]], ask: () => Promise<T>): Promise<T> {
    for (let isRepeated = false; ; isRepeated = true) {
      await continuity.established(asked[0])
      const source = continuity.sourceOf(asked[0])
      const answer = await ask()
      if (source && asked.every((key) => continuity.sourceOf(key) === source)) return answer
      if (isRepeated) throw new AppError('unavailable')
    }
  }
  return gather(isCluster(redis) ? askEachServer(redis, keys, believed) : askOnce(redis, keys, believed))
}

type Believed = <T>(asked: [string, ...string[]], ask: () => Promise<T>) => Promise<T>

/** Looks up some digests, and says of each when it is found or cannot be. */
type LookUpAll = (batch: Waiting[]) => Promise<void>

interface Waiting {
  accessDigest: string
  resolve: (found: LookedUp) => void
  reject: (error: unknown) => void
}

function gather(lookUpAll: LookUpAll) {
  let waiting: Waiting[] = []

  async function send(batch: Waiting[]): Promise<void> {
    try {
      await lookUpAll(batch)
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

/** One script for them all. */
function askOnce(redis: SessionScripts, keys: Keys, believed: Believed): LookUpAll {
  return async (batch) => {
    const pointers = batch.map(({ accessDigest }) => keys.access(accessDigest))
    const found = await believed([pointers[0]!], () =>
      fromRedis(redis.latchkeyLookUp(batch.length, ...pointers, keys.sessionsStart)),
    )
    batch.forEach(({ resolve }, i) =>
      resolve({
        pointer: found[i * 3] ?? null,
        session: found[i * 3 + 1] ?? null,
        card: found[i * 3 + 2] ?? null,
      }),
    )
  }
}

/**
 * In a cluster pointers and sessions lie on different servers: each server is asked for its pointers, and then for its
 * sessions, in one pipeline each time. What a pointer says never changes, so it may come from any Redis there was.
 */
function askEachServer(redis: Cluster, keys: Keys, believed: Believed): LookUpAll {
  type Led = Waiting & { pointer: string; target: Target }

  async function askForPointers(batch: Waiting[], pointerKeys: string[]): Promise<void> {
    const pointers = await readAll<string>(
      redis,
      pointerKeys.map((key) => ['get', key]),
    )
    const led: Led[] = []
    batch.forEach((one, i) => {
      const pointer = pointers[i] ?? null
      const target = parsePointer(pointer)
      if (target) led.push({ ...one, pointer: pointer!, target })
      else one.resolve({ pointer, session: null, card: null })
    })
    await eachServer(led, ({ target }) => keys.sessions(target.userId), askForSessions)
  }

  async function askForSessions(led: Led[], sessionKeys: [string, ...string[]]): Promise<void> {
    const readings = sessionKeys.map((key, i): Reading => ['hmget', key, led[i]!.target.sessionId, 'user'])
    const held = await believed(sessionKeys, () => readAll<(string | null)[]>(redis, readings))
    led.forEach(({ resolve, pointer }, i) =>
      resolve({ pointer, session: held[i]?.[0] ?? null, card: held[i]?.[1] ?? null }),
    )
  }

  /** Asks every server for what lies with it. One that fails takes its own with it, and no others. */
  async function eachServer<T extends Waiting>(
    all: T[],
    keyOf: (one: T) => string,
    ask: (theirs: T[], theirKeys: [string, ...string[]]) => Promise<void>,
  ): Promise<void> {
    const shares = new Map<Node | undefined, { theirs: T[]; theirKeys: [string, ...string[]] }>()
    for (const one of all) {
      const key = keyOf(one)
      const node = primaryOf(redis, key)
      const share = shares.get(node)
      share?.theirs.push(one)
      share?.theirKeys.push(key)
      if (!share) shares.set(node, { theirs: [one], theirKeys: [key] })
    }
    await Promise.all(
      Array.from(shares.values(), async ({ theirs, theirKeys }) => {
        try {
          await ask(theirs, theirKeys)
        } catch (error) {
          for (const { reject } of theirs) reject(error)
        }
      }),
    )
  }

  return (batch) => eachServer(batch, ({ accessDigest }) => keys.access(accessDigest), askForPointers)
}

type Reading = ['get', key: string] | ['hmget', key: string, ...fields: string[]]

/** What moved to another server meanwhile, or is about to, and what the cluster client then asks for by itself. */
const isElsewhere = (error: Error) => /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/.test(error.message)

/**
 * Reads what lies with one server, in one write and one read. A key that somebody made of another type holds nothing.
 *
 * @throws AppError `unavailable`
 */
async function readAll<T>(redis: Cluster, readings: Reading[]): Promise<(T | undefined)[]> {
  const read = ([command, ...args]: Reading) => fromRedis(unlessOfAnotherType(redis.call(command, args) as Promise<T>))
  const node = primaryOf(redis, readings[0]![1])
  if (!node || readings.length === 1) return Promise.all(readings.map(read))
  const answers = (await fromRedis(node.pipeline(readings).exec())) ?? []
  return Promise.all(
    answers.map(([error, value], i) => {
      if (!error) return value as T
      return isElsewhere(error) ? read(readings[i]!) : fromRedis(unlessOfAnotherType<T>(Promise.reject(error)))
    }),
  )
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
