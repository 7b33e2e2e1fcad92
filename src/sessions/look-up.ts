import { AppError } from '../errors.ts'
import type { Continuity } from '../platform/continuity.ts'
import { gather, type Asked } from '../platform/gather.ts'
import { fromRedis, isCluster, primaryOf, type Cluster, type Node, type Redis } from '../platform/redis.ts'
import { parsePointer, type Keys, type Target } from './keys.ts'
import type { SessionScripts } from './scripts.ts'

/** What Redis holds for a token; nulls where it holds nothing. */
export interface LookedUp {
  pointer: string | null
  session: string | null
  card: string | null
}

/**
 * While Redis is at one batch, the answers of the one before are sent: with all in one batch the two would wait for each
 * other (figures: bench/README.md).
 */
const scriptMax = 16
/** There each server gets a share of them, and works on it while the others do. */
const clusterMax = 256

/**
 * Makes the look-up of tokens of either kind.
 *
 * All that are asked for in one turn of the event loop go to Redis together, {@link scriptMax} in one script; alone, one
 * takes one round trip, or two in a cluster.
 *
 * Nothing is believed of a Redis that may have forgotten endings: an answer counts if Redis is known to go on from where
 * it was, before the question and when the answer is there; otherwise Redis is asked once more.
 *
 * @returns what looks up one token by the key of its pointer; it throws AppError `unavailable`
 */
export function createLookUp(
  redis: Redis & SessionScripts,
  continuity: Pick<Continuity, 'sourceOf' | 'established' | 'believes'>,
  keys: Keys,
): (pointerKey: string) => Promise<LookedUp> {
  async function believed<T>(key: string, ask: () => Promise<T>): Promise<T> {
    for (let isRepeated = false; ; isRepeated = true) {
      await continuity.established(key)
      const source = continuity.sourceOf(key)
      const answer = await ask()
      if (source && continuity.sourceOf(key) === source) return answer
      if (isRepeated) throw new AppError('unavailable')
    }
  }
  return isCluster(redis)
    ? gather(clusterMax, askEachServer(redis, continuity, keys, believed))
    : gather(scriptMax, askOnce(redis, keys, believed))
}

type Believed = <T>(key: string, ask: () => Promise<T>) => Promise<T>

/** Looks up some tokens by the keys of their pointers, and says of each when it is found or cannot be. */
type LookUpAll = (batch: Waiting[]) => Promise<void>
type Waiting = Asked<string, LookedUp>

/** One script for them all. */
function askOnce(redis: SessionScripts, keys: Keys, believed: Believed): LookUpAll {
  return async (batch) => {
    const pointers = batch.map(({ question: pointerKey }) => pointerKey)
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
  }
}

/**
 * In a cluster pointers and sessions lie on different servers: each server is asked for its pointers, and then for its
 * sessions, in one pipeline each time. What a pointer says never changes, so it may come from any Redis there was.
 *
 * A server that answers for a key has it at that moment, whatever the map of the cluster says by then; so what it says
 * counts if the server was believed before the question and still is. What it does not have is asked for by itself.
 */
function askEachServer(
  redis: Cluster,
  continuity: Pick<Continuity, 'established' | 'believes'>,
  keys: Keys,
  believed: Believed,
): LookUpAll {
  type Led = Waiting & { pointer: string; target: Target }

  async function askForPointers(batch: Waiting[], node: Node): Promise<void> {
    const answers = await readAll<string>(
      node,
      batch.map(({ question: pointerKey }) => ['get', pointerKey]),
    )
    const led: Led[] = []
    const alone: Waiting[] = []
    batch.forEach((one, i) => {
      const answer = answers[i]!
      if (answer.kind === 'failed') return one.reject(answer.error)
      if (answer.kind === 'elsewhere') return alone.push(one)
      const pointer = answer.value ?? null
      const target = parsePointer(pointer)
      if (target) led.push({ ...one, pointer: pointer!, target })
      else one.resolve({ pointer, session: null, card: null })
    })
    await Promise.all([
      ...alone.map(askAlone),
      eachServer(led, ({ target }) => keys.sessions(target.userId), askForSessions),
    ])
  }

  async function askForSessions(led: Led[], node: Node): Promise<void> {
    await continuity.established(keys.sessions(led[0]!.target.userId))
    const wasBelieved = continuity.believes(node)
    const answers = await readAll<(string | null)[]>(
      node,
      led.map(({ target }) => ['hmget', keys.sessions(target.userId), target.sessionId, 'user']),
    )
    const isBelieved = wasBelieved && continuity.believes(node)
    const alone: Waiting[] = []
    led.forEach((one, i) => {
      const answer = answers[i]!
      if (answer.kind === 'failed') one.reject(answer.error)
      else if (answer.kind === 'elsewhere' || !isBelieved) alone.push(one)
      else one.resolve({ pointer: one.pointer, session: answer.value?.[0] ?? null, card: answer.value?.[1] ?? null })
    })
    await Promise.all(alone.map(askAlone))
  }

  /** Asks for one token by itself: the client of the cluster follows what has moved, and learns where things are. */
  async function askAlone({ question: pointerKey, resolve, reject }: Waiting): Promise<void> {
    try {
      const pointer = (await fromRedis(unlessOfAnotherType(redis.get(pointerKey)))) ?? null
      const target = parsePointer(pointer)
      if (!target) return resolve({ pointer, session: null, card: null })
      const key = keys.sessions(target.userId)
      const held = await believed(key, () => fromRedis(unlessOfAnotherType(redis.hmget(key, target.sessionId, 'user'))))
      resolve({ pointer, session: held?.[0] ?? null, card: held?.[1] ?? null })
    } catch (error) {
      reject(error)
    }
  }

  /** Asks every server for what lies with it. One that fails takes its own with it, and no others. */
  async function eachServer<T extends Waiting>(
    all: T[],
    keyOf: (one: T) => string,
    ask: (theirs: T[], node: Node) => Promise<void>,
  ): Promise<void> {
    const shares = new Map<Node | undefined, T[]>()
    for (const one of all) {
      const node = primaryOf(redis, keyOf(one))
      const share = shares.get(node)
      if (share) share.push(one)
      else shares.set(node, [one])
    }
    await Promise.all(
      Array.from(shares, async ([node, theirs]) => {
        try {
          if (node && theirs.length > 1) await ask(theirs, node)
          else await Promise.all(theirs.map(askAlone))
        } catch (error) {
          for (const { reject } of theirs) reject(error)
        }
      }),
    )
  }

  return (batch) => eachServer(batch, ({ question: pointerKey }) => pointerKey, askForPointers)
}

/** `elsewhere`: with another server by now, or soon. A key that somebody made of another type holds nothing. */
type Answer<T> = { kind: 'here'; value: T | null } | { kind: 'elsewhere' } | { kind: 'failed'; error: AppError }

/** Reads what lies with one server, in one write and one read. @throws AppError `unavailable` */
async function readAll<T>(node: Node, commands: string[][]): Promise<Answer<T>[]> {
  const answers = (await fromRedis(node.pipeline(commands).exec())) ?? []
  return answers.map(([error, value]): Answer<T> => {
    if (!error) return { kind: 'here', value: value as T }
    if (isOfAnotherType(error)) return { kind: 'here', value: null }
    if (/^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/.test(error.message)) return { kind: 'elsewhere' }
    return { kind: 'failed', error: new AppError('unavailable', { cause: error }) }
  })
}

const isOfAnotherType = (error: unknown) => error instanceof Error && error.message.startsWith('WRONGTYPE')

/** A key that somebody made of another type holds nothing. */
async function unlessOfAnotherType<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isOfAnotherType(error)) return undefined
    throw error
  }
}
