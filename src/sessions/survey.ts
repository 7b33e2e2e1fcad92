import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../platform/clock.ts'
import { fromRedis, knownPrimariesOf, type Redis } from '../platform/redis.ts'
import { parsePointer, pointerTo, type Keys, type Target } from './keys.ts'
import type { SessionScripts } from './scripts.ts'
import { decodeSession, lapseOf, type EndReason, type Lives, type Session } from './session.ts'

/** A key that says which session a token belongs to. */
export interface Pointer extends Target {
  key: string
}

/** An open session as it was read. */
export interface OpenSession {
  session: Session
  json: string
}

/** Some of the keys of the service, and what is odd about them. */
export interface SurveyedPage {
  keysSeen: number
  /** How many keys Redis has in all, those of others among them. */
  keysTotal: number
  open: OpenSession[]
  /** Those whose refresh token leads nowhere: they go on until the access token expires. */
  stranded: OpenSession[]
  /** Pointers to no session, of which no tombstone tells why it ended. */
  dangling: Pointer[]
  /** Keys that would stay for ever. */
  lasting: string[]
}

const pageSize = 500

/** Looks through all keys of the service, for operators: never on a request. */
export function createSurvey({
  redis,
  keys,
  prefix,
  clock,
  lives,
  bury,
}: {
  redis: Redis & SessionScripts
  keys: Keys
  prefix: string
  clock: Clock
  lives: () => Lives
  /** Leaves a tombstone, and tells the stream. */
  bury: (session: Session, reason: EndReason) => Promise<void>
}) {
  const [access, refresh] = [keys.access(''), keys.refresh('')]

  /**
   * Goes through the keys by SCAN, some hundred at a time; half of the time it rests, so that others get their turn.
   *
   * What is written meanwhile may be half done when it is seen, so a finding means something only at a second look.
   *
   * @throws AppError `unavailable`
   */
  async function* survey(): AsyncGenerator<SurveyedPage> {
    for (const node of knownPrimariesOf(redis)) {
      let cursor = '0'
      do {
        const startedAt = performance.now()
        const [next, found] = await fromRedis(node.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', pageSize))
        cursor = next
        yield await look([...new Set(found)])
        await delay(performance.now() - startedAt)
      } while (cursor !== '0')
    }
  }

  async function look(found: string[]): Promise<SurveyedPage> {
    const [keysTotal, ttls, sets, targets] = await fromRedis(
      Promise.all([
        sizeOf(redis),
        each(found, (key) => redis.pttl(key)),
        each(found.filter(isSet), (key) => redis.hgetall(key)),
        each(found.filter(isPointer), (key) => redis.get(key)),
      ]),
    )
    const open = [...sets].flatMap(([key, fields]) => openIn(key, fields))
    const pointers = [...targets].flatMap(([key, target]) => pointerAt(key, target))
    return {
      keysSeen: found.length,
      keysTotal,
      open,
      stranded: await keepThose(open, isStranded),
      dangling: await keepThose(pointers, isDangling),
      lasting: found.filter((key) => ttls.get(key) === -1),
    }
  }

  /** The open sessions of a user as they stand. */
  async function openOf(userId: string): Promise<OpenSession[]> {
    const key = keys.sessions(userId)
    return openIn(key, await fromRedis(redis.hgetall(key)))
  }

  const isSet = (key: string) => key.startsWith(keys.sessionsStart)
  const isPointer = (key: string) => key.startsWith(access) || key.startsWith(refresh)

  function openIn(key: string, fields: Record<string, string>): OpenSession[] {
    const userId = key.slice(keys.sessionsStart.length, -1)
    return Object.entries(fields).flatMap(([id, json]) => {
      const session = id === 'user' ? null : decodeSession(userId, id, json)
      return session && lapseOf(session, lives(), clock.now()) === null ? { session, json } : []
    })
  }

  function pointerAt(key: string, target: string | null): Pointer[] {
    const parsed = parsePointer(target)
    return parsed ? [{ key, ...parsed }] : []
  }

  /** Whether a pointer leads to no session, and no tombstone says why. */
  async function isDangling({ key, userId, sessionId }: Pointer): Promise<boolean> {
    const [target, isThere, isBuried] = await fromRedis(
      Promise.all([
        redis.get(key),
        redis.hexists(keys.sessions(userId), sessionId),
        redis.exists(keys.ended(sessionId)),
      ]),
    )
    return target === pointerTo({ userId, sessionId }) && isThere === 0 && isBuried === 0
  }

  /** Whether an open session has lost the pointer of its refresh token. */
  async function isStranded({ session: { userId, id, refreshDigest }, json }: OpenSession): Promise<boolean> {
    const [pointer, stored] = await fromRedis(
      Promise.all([redis.get(keys.refresh(refreshDigest)), redis.hget(keys.sessions(userId), id)]),
    )
    return pointer === null && stored === json
  }

  /** The session as it stands now, if it is open still. */
  async function reread({ session: { userId, id } }: OpenSession): Promise<OpenSession | null> {
    const json = await fromRedis(redis.hget(keys.sessions(userId), id))
    return json === null ? null : (openIn(keys.sessions(userId), { [id]: json })[0] ?? null)
  }

  const isLasting = async (key: string) => (await fromRedis(redis.pttl(key))) === -1

  /** Ends a session, if it still is what was read. */
  async function endIf({ session, json }: OpenSession, reason: EndReason): Promise<boolean> {
    const ended = await fromRedis(redis.latchkeyRemoveIf(keys.sessions(session.userId), session.id, json))
    if (ended === 1) await bury(session, reason)
    return ended === 1
  }

  /**
   * Gives a session the pointer of its refresh token back, if it still is what was read.
   *
   * A session that ends or is refreshed between the two steps leaves a pointer that opens nothing.
   */
  async function point({ session, json }: OpenSession): Promise<boolean> {
    const { userId, id, refreshDigest, idleExpiresAt } = session
    const lifeMs = Math.max(idleExpiresAt - clock.now(), 1) + lives().reuseWindowMs
    if ((await fromRedis(redis.hget(keys.sessions(userId), id))) !== json) return false
    return (
      (await fromRedis(
        redis.set(keys.refresh(refreshDigest), pointerTo({ userId, sessionId: id }), 'PX', lifeMs, 'NX'),
      )) === 'OK'
    )
  }

  /** Deletes a pointer that leads nowhere; a session that is gone never comes back. */
  async function unpoint({ key, userId, sessionId }: Pointer): Promise<boolean> {
    if ((await fromRedis(redis.hexists(keys.sessions(userId), sessionId))) === 1) return false
    return (await fromRedis(redis.latchkeyUnpoint(key, pointerTo({ userId, sessionId })))) === 1
  }

  /** Gives a key a life, as long as anything of its kind can need. */
  async function expire(key: string): Promise<boolean> {
    const { accessMs, absoluteMs, reuseWindowMs } = lives()
    const isShortLived = key.startsWith(access) || key.startsWith(`${prefix}limit:`)
    const lifeMs = isShortLived ? Math.max(2 * accessMs, limitLifeMs) : absoluteMs + reuseWindowMs
    return (await fromRedis(redis.latchkeyExpire(key, lifeMs))) === 1
  }

  /** Asks for each key; those of another type than they should have are left out. */
  async function each<T>(of: string[], ask: (key: string) => Promise<T>): Promise<Map<string, T>> {
    const answers = await Promise.all(
      of.map(async (key) => {
        try {
          return [[key, await ask(key)] as const]
        } catch (error) {
          if (error instanceof Error && error.message.startsWith('WRONGTYPE')) return []
          throw error
        }
      }),
    )
    return new Map(answers.flat())
  }

  return { survey, openOf, isDangling, isStranded, isLasting, reread, endIf, point, unpoint, expire }
}

async function sizeOf(redis: Redis): Promise<number> {
  const sizes = await Promise.all(knownPrimariesOf(redis).map((node) => node.dbsize()))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** No limit counts for longer. */
const limitLifeMs = 86_400_000

async function keepThose<T>(of: T[], test: (one: T) => Promise<boolean>): Promise<T[]> {
  const verdicts = await Promise.all(of.map(test))
  return of.filter((_, i) => verdicts[i])
}
