import { validate } from 'uuid'
import { AppError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { Continuity } from '../platform/continuity.ts'
import { gather } from '../platform/gather.ts'
import { fromRedis, isCluster, knownPrimariesOf, type Node, type Redis } from '../platform/redis.ts'
import { seal, unseal } from '../platform/secret.ts'
import { createKeys, mintSessionId, parsePointer, pointerTo, type Target } from './keys.ts'
import { createLookUp } from './look-up.ts'
import { withScripts } from './scripts.ts'
import {
  decodeCard,
  decodeReason,
  decodeSession,
  encodeCard,
  encodeSession,
  encodeTombstone,
  inForce,
  judgeAccess,
  judgeRefresh,
  lapseOf,
  startOf,
  type Card,
  type Client,
  type EndReason,
  type Lives,
  type Session,
} from './session.ts'
import { createSurvey } from './survey.ts'
import { digestOfToken, mintPair, packPair, unpackPair, type Minted, type TokenPair } from './token.ts'

export type { Card, Client, EndReason, Lives, Session } from './session.ts'
export type { OpenSession } from './survey.ts'
export type { TokenPair } from './token.ts'

/** How many keys Redis looks at in one step of reading them all. */
const seekStep = 1000

/** What an access token opens, or why it opens nothing. `unknown` is all that a stranger is told. */
export type AccessCheck =
  | { kind: 'live'; session: Session; card: Card | null; issuedAt: number; expiresAt: number }
  | { kind: 'ended'; userId: string; sessionId: string; reason: EndReason }
  | { kind: 'lapsed'; userId: string; sessionId: string; reason: 'expired' | 'idle' }
  | { kind: 'unknown' }

/** A session with the very text that was read; a change of it is made on condition that this text still stands. */
interface Held {
  session: Session
  json: string
}

/** A session as a refresh token has led to it. */
export interface Presented extends Held {
  refreshToken: string
  refreshDigest: string
}

/** What a refresh token points to. */
export type RefreshPresented =
  | { kind: 'unknown' }
  | { kind: 'ended'; userId: string; sessionId: string; reason: EndReason }
  | { kind: 'reused'; session: Session }
  | { kind: 'usable'; held: Presented }

export type Refreshed =
  | { kind: 'rotated' | 'replayed'; session: Session; pair: TokenPair }
  | { kind: 'reused'; session: Session }
  | { kind: 'ended'; userId: string; sessionId: string; reason: EndReason }

/** A session that is no longer in its user's set, and why. */
export interface Ended {
  sessionId: string
  reason: EndReason
}

export interface Opened {
  session: Session
  pair: TokenPair
  /** Sessions that had to go: lapsed ones, and at the cap the one unused for longest. */
  removed: Ended[]
}

export type Sessions = ReturnType<typeof createSessions>

/** A session that was taken out of its user's set, as far as it could be read. */
interface Removed extends Ended {
  session: Session | null
}

/** 1, or 0 with the JSON that stands now, if any does. */
type SwapAnswer = [won: number, current?: string | null]

interface Rotation {
  keys: [sessions: string, access: string, refresh: string, spent: string]
  values: (string | number)[]
}

interface Pointer {
  key: string
  target: string
  lifeMs: number
}

const lastSeenStepMs = 60_000
/** How many sessions one script gives new pairs: as with look-ups, Redis is at some while others are answered. */
const rotationsMax = 16
const revocationsMax = 100_000
/** As long as the longest life that an access token can be given: nobody may hold an older answer about one. */
const revocationsKeptMs = 86_400_000
const sampleDraws = 1000
const sampleBatch = 100
const replayContext = (sessionId: string) => `latchkey refresh replay v1 ${sessionId}`

/**
 * The sessions in Redis: one set a user, and pointers into it from the digests of tokens.
 *
 * A token whose session is not in the set is dead, whatever else lies around; so taking an entry out is the ending of a
 * session, and taking the key away is the ending of all. Every method throws AppError `unavailable` when Redis cannot
 * say; none takes that for "not found". The sessions they return have the times that count under today's lives; what is
 * written back is always made from the stored ones.
 */
export function createSessions({
  redis: connection,
  continuity,
  prefix,
  clock,
  lives,
  log,
}: {
  redis: Redis
  /** Whether Redis may have forgotten endings: then no token is live. */
  continuity: Pick<Continuity, 'sourceOf' | 'established' | 'believes'>
  prefix: string
  clock: Clock
  lives: () => Lives
  log: Log
}) {
  const redis = withScripts(connection)
  const keys = createKeys(prefix)
  const lookUp = createLookUp(redis, continuity, keys)
  const behind = new Set<Promise<unknown>>()
  const beingSeen = new Set<string>()
  const upkeep = createSurvey({
    redis,
    keys,
    prefix,
    clock,
    lives,
    bury: (session, reason) => bury(session.userId, [{ sessionId: session.id, reason, session }], clock.now()),
  })

  /** Lets a write go on behind the answer. Its failure costs nobody anything, so it is not told. */
  function afterwards(write: Promise<unknown>): void {
    const done = write.catch(() => undefined).finally(() => behind.delete(done))
    behind.add(done)
  }

  /**
   * Checks an access token: one round trip, shared with all that are looked up in the same turn, and no write on the path.
   */
  async function check(accessToken: string): Promise<AccessCheck> {
    const accessDigest = digestOfToken(accessToken)
    if (!accessDigest) return { kind: 'unknown' }
    const found = await lookUp(keys.access(accessDigest))
    const pointer = parsePointer(found.pointer)
    if (!pointer) return { kind: 'unknown' }
    const stored = found.session === null ? null : decodeSession(pointer.userId, pointer.sessionId, found.session)
    if (!stored) return { kind: 'ended', ...pointer, reason: await reasonOf(pointer.sessionId) }
    const now = clock.now()
    const verdict = judgeAccess(stored, accessDigest, lives(), now)
    if (verdict.kind === 'dead') return { kind: 'lapsed', ...pointer, reason: verdict.reason }
    if (now - stored.lastSeenAt >= lastSeenStepMs) see({ session: stored, json: found.session! }, now)
    const { session, issuedAt, expiresAt } = verdict
    return { kind: 'live', session, card: decodeCard(found.card), issuedAt, expiresAt }
  }

  /** Notes that a session was used, at most once a minute, behind the answer; loses against any other change. */
  function see(held: Held, now: number): void {
    const { session } = held
    if (beingSeen.has(session.id)) return
    beingSeen.add(session.id)
    const seen = { ...session, lastSeenAt: now, previous: stillCounting(session.previous, now) }
    afterwards(swap(held, seen).finally(() => beingSeen.delete(session.id)))
  }

  async function swap(held: Held, next: Session, card?: Card): Promise<'won' | Held | null> {
    const { userId, id } = next
    const answer = await fromRedis(
      redis.latchkeySwap(keys.sessions(userId), id, held.json, encodeSession(next), card ? encodeCard(card) : ''),
    )
    return outcomeOf(next, answer)
  }

  function outcomeOf({ userId, id }: Session, [won, current]: SwapAnswer): 'won' | Held | null {
    if (won === 1) return 'won'
    const session = current == null ? null : decodeSession(userId, id, current)
    return session && { session, json: current! }
  }

  /** Runs one script for all that rotate in one turn of the event loop. */
  const rotateAtOnce = gather<Rotation, SwapAnswer>(rotationsMax, async (batch) => {
    const allKeys: string[] = []
    const values: (string | number)[] = []
    for (const { question } of batch) {
      allKeys.push(...question.keys)
      values.push(...question.values)
    }
    const outcomes = await fromRedis(redis.latchkeyRotate(allKeys.length, ...allKeys, ...values))
    batch.forEach(({ resolve, reject }, i) => {
      const won = outcomes[i * 2] as number
      if (won === -1) reject(new AppError('unavailable'))
      else resolve([won, outcomes[i * 2 + 1] as string | null])
    })
  })

  /**
   * Puts a session with a new pair in the place of the one that was read, if that one still stands.
   *
   * In a cluster, where its pointers lie elsewhere, those are written first: a session in the set whose token leads
   * nowhere would be worse than a pointer that leads nowhere. If the answer is lost the outcome is unknown, and the
   * pointers stay, since a retry may need them.
   */
  async function rotate(
    held: Held,
    next: Session,
    { accessDigest, card, now }: { accessDigest: string; card: Card; now: number },
  ): Promise<'won' | Held | null> {
    const spent = keys.refresh(held.session.refreshDigest)
    const { reuseWindowMs } = lives()
    const pointers = pointersOf(next, accessDigest, now)
    if (!isCluster(redis)) {
      const [access, refreshed] = pointers
      const answer = await rotateAtOnce({
        keys: [keys.sessions(next.userId), access.key, refreshed.key, spent],
        values: [
          next.id,
          held.json,
          encodeSession(next),
          encodeCard(card),
          access.target,
          access.lifeMs,
          refreshed.lifeMs,
          reuseWindowMs,
        ],
      })
      return outcomeOf(next, answer)
    }
    await writePointers(pointers)
    const outcome = await swap(held, next, card)
    if (outcome === 'won') afterwards(redis.pexpire(spent, reuseWindowMs))
    else await fromRedis(Promise.all(pointers.map(({ key }) => redis.del(key))))
    return outcome
  }

  /**
   * Opens a session and mints its first pair.
   *
   * The pointers are written first, as in {@link rotate}.
   */
  async function open(person: {
    userId: string
    epoch: number
    card: Card
    client: Client
    deviceName: string | null
  }): Promise<Opened> {
    const now = clock.now()
    const { idleMs, idleLapsedTo, absoluteMs, absoluteLapsedTo, reuseWindowMs, perUserMax } = lives()
    const minted = mintPair()
    const expiresAt = now + absoluteMs
    const session: Session = {
      id: mintSessionId(person.userId),
      userId: person.userId,
      epoch: person.epoch,
      createdAt: now,
      expiresAt,
      deviceName: person.deviceName,
      client: person.client,
      previous: null,
      ...freshPair(minted, now, expiresAt),
    }
    await writePointers(pointersOf(session, minted.accessDigest, now))
    const removed = await fromRedis(
      redis.latchkeyOpen(
        keys.sessions(session.userId),
        now,
        perUserMax,
        session.id,
        encodeSession(session),
        encodeCard(person.card),
        absoluteMs + reuseWindowMs,
        idleMs,
        absoluteMs,
        idleLapsedTo,
        absoluteLapsedTo,
      ),
    )
    const gone: Removed[] = []
    for (let i = 0; i < removed.length; i += 3) {
      const sessionId = removed[i]!
      const reason = removed[i + 1] as EndReason
      gone.push({ sessionId, reason, session: decodeSession(session.userId, sessionId, removed[i + 2]!) })
    }
    await bury(session.userId, gone, now)
    return { session, pair: minted.pair, removed: gone.map(({ sessionId, reason }) => ({ sessionId, reason })) }
  }

  /** Finds what a refresh token points to, without changing anything. */
  async function present(refreshToken: string): Promise<RefreshPresented> {
    const refreshDigest = digestOfToken(refreshToken)
    if (!refreshDigest) return { kind: 'unknown' }
    const found = await lookUp(keys.refresh(refreshDigest))
    const pointer = parsePointer(found.pointer)
    if (!pointer) return { kind: 'unknown' }
    const session = found.session === null ? null : decodeSession(pointer.userId, pointer.sessionId, found.session)
    if (!session) return { kind: 'ended', ...pointer, reason: await reasonOf(pointer.sessionId) }
    const verdict = judgeRefresh(session, refreshDigest, lives(), clock.now())
    if (verdict.kind === 'dead') return { kind: 'ended', ...pointer, reason: verdict.reason }
    if (verdict.kind === 'reused') return { kind: 'reused', session }
    return { kind: 'usable', held: { session, json: found.session!, refreshToken, refreshDigest } }
  }

  /**
   * Rotates the pair of a session, or hands out the same pair again to a retry.
   *
   * Of all that present one token at one instant, one wins; the others find the state it left and are judged by that.
   */
  async function refresh(presented: Presented, { card, client }: { card: Card; client: Client }): Promise<Refreshed> {
    const { refreshToken, refreshDigest } = presented
    const { userId, id: sessionId } = presented.session
    const minted = mintPair()
    const { pair, accessDigest } = minted
    let standing: Held | null = presented
    while (standing) {
      const now = clock.now()
      const { session } = standing
      const verdict = judgeRefresh(session, refreshDigest, lives(), now)
      if (verdict.kind !== 'live') {
        if (verdict.kind === 'dead') return { kind: 'ended', userId, sessionId, reason: verdict.reason }
        const sealed = verdict.kind === 'replay' ? unseal(verdict.sealed, refreshToken, replayContext(sessionId)) : null
        return sealed
          ? { kind: 'replayed', session: inForce(session, lives()), pair: unpackPair(sealed) }
          : { kind: 'reused', session: standing.session }
      }
      const { graceMs } = lives()
      const next: Session = {
        ...session,
        client,
        ...freshPair(minted, now, session.expiresAt),
        previous: {
          accessDigestStart: session.access.digestStart,
          accessIssuedAt: session.refreshedAt,
          accessExpiresAt: Math.min(session.access.expiresAt, now + graceMs),
          refreshDigestStart: startOf(session.refreshDigest),
          graceEndsAt: now + graceMs,
          replay: seal(packPair(pair), refreshToken, replayContext(sessionId)),
        },
      }
      if (graceMs === 0) next.previous = null
      const outcome: 'won' | Held | null = await rotate(standing, next, { accessDigest, card, now })
      if (outcome === 'won') return { kind: 'rotated', session: inForce(next, lives()), pair }
      standing = outcome
    }
    return { kind: 'ended', userId, sessionId, reason: await reasonOf(sessionId) }
  }

  /** Gives a session a new pair and leaves nothing of the old one alive; null when the session has ended meanwhile. */
  async function replacePair(
    userId: string,
    sessionId: string,
    { card, client, epoch }: { card: Card; client: Client; epoch?: number },
  ): Promise<{ session: Session; pair: TokenPair } | null> {
    const minted = mintPair()
    const { pair, accessDigest } = minted
    for (let held = await hold(userId, sessionId); held;) {
      const now = clock.now()
      if (lapseOf(held.session, lives(), now)) break
      const next: Session = {
        ...held.session,
        epoch: epoch ?? held.session.epoch,
        client,
        ...freshPair(minted, now, held.session.expiresAt),
        previous: null,
      }
      const outcome: 'won' | Held | null = await rotate(held, next, { accessDigest, card, now })
      if (outcome === 'won') return { session: inForce(next, lives()), pair }
      held = outcome
    }
    return null
  }

  /** Ends the named sessions of a user, and returns those that were there and had not lapsed. */
  async function end(userId: string, sessionIds: string[], reason: EndReason): Promise<Session[]> {
    if (sessionIds.length === 0) return []
    return buryAll(userId, await fromRedis(redis.latchkeyRemove(keys.sessions(userId), ...sessionIds)), reason)
  }

  /** Ends all sessions of a user but one. Sessions that are opened meanwhile may be missed. */
  async function endOthers(userId: string, sparedId: string, reason: EndReason): Promise<Session[]> {
    const ids = await fromRedis(redis.hkeys(keys.sessions(userId)))
    return end(
      userId,
      ids.filter((id) => id !== sparedId && id !== 'user'),
      reason,
    )
  }

  /** Ends all sessions of a user, and returns those that were there and had not lapsed. */
  async function endAll(userId: string, reason: EndReason): Promise<Session[]> {
    return buryAll(userId, await fromRedis(redis.latchkeyRemove(keys.sessions(userId))), reason)
  }

  /**
   * Ends the sessions of a user that were opened under an earlier epoch; returns how many those were.
   *
   * A session that is given the new epoch meanwhile, as by a change of the password, stays.
   */
  async function endOlder(userId: string, epoch: number, reason: EndReason): Promise<number> {
    let count = 0
    for (;;) {
      const older = (await upkeep.openOf(userId)).filter(({ session }) => session.epoch < epoch)
      if (older.length === 0) return count
      const ended = await Promise.all(older.map((one) => upkeep.endIf(one, reason)))
      count += ended.filter(Boolean).length
    }
  }

  async function buryAll(userId: string, removed: string[], reason: EndReason): Promise<Session[]> {
    const now = clock.now()
    const ended: Session[] = []
    const gone: Removed[] = []
    for (let i = 0; i < removed.length; i += 2) {
      const sessionId = removed[i]!
      const session = decodeSession(userId, sessionId, removed[i + 1]!)
      const lapse = session && lapseOf(session, lives(), now)
      gone.push({ sessionId, reason: lapse ?? reason, session })
      if (session && !lapse) ended.push(session)
    }
    await bury(userId, gone, now)
    return ended
  }

  /**
   * Leaves tombstones that say why, for as long as tokens of the sessions may still be shown, and tells the stream; all
   * in one round trip.
   *
   * They explain an ending and do not make it: a Redis too full to take them (DEL still works there) fails nobody.
   */
  async function bury(userId: string, gone: Removed[], now: number): Promise<void> {
    const { idleMs, reuseWindowMs } = lives()
    const tombstones = gone.map(({ sessionId, reason, session }) => {
      const remainingMs = session ? Math.max(session.idleExpiresAt - now, 0) : idleMs
      return redis.set(keys.ended(sessionId), encodeTombstone(reason, now), 'PX', remainingMs + reuseWindowMs)
    })
    await Promise.all([Promise.allSettled(tombstones), tell(userId, gone, now)])
  }

  /** Tells the stream which sessions have ended. Those that lapsed are over by the times that everybody was told. */
  async function tell(userId: string, gone: Removed[], now: number): Promise<void> {
    const news = gone.filter(({ reason }) => reason !== 'expired' && reason !== 'idle')
    if (news.length === 0) return
    const entries = news.flatMap(({ sessionId, reason }) => [sessionId, reason])
    const at = new Date(now).toISOString()
    try {
      await redis.latchkeyTell(keys.revocations, revocationsMax, revocationsKeptMs, userId, at, ...entries)
    } catch (error) {
      log('revocations.lost', { user_id: userId, count: news.length, error: (error as Error).name })
    }
  }

  /** Why a session that is not in its set ended. Without a tombstone somebody took it out by hand: `revoked`. */
  async function reasonOf(sessionId: string): Promise<EndReason> {
    return decodeReason(await fromRedis(redis.get(keys.ended(sessionId)))) ?? 'revoked'
  }

  /** The open sessions of a user, newest first. */
  async function list(userId: string): Promise<Session[]> {
    const fields = await fromRedis(redis.hgetall(keys.sessions(userId)))
    const [today, now] = [lives(), clock.now()]
    return Object.entries(fields)
      .filter(([field]) => field !== 'user')
      .map(([id, json]) => decodeSession(userId, id, json))
      .filter((session): session is Session => session !== null && lapseOf(session, today, now) === null)
      .map((session) => inForce(session, today))
      .toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1))
  }

  /** One open session of a user, or null. */
  async function find(userId: string, sessionId: string): Promise<Session | null> {
    const held = await hold(userId, sessionId)
    const today = lives()
    return held && lapseOf(held.session, today, clock.now()) === null ? inForce(held.session, today) : null
  }

  /**
   * Where a token of either kind leads, live or not; null when Redis does not know it. For operators: it is no use of the
   * session.
   */
  async function locate(token: string): Promise<Target | null> {
    const tokenDigest = digestOfToken(token)
    if (!tokenDigest) return null
    const [access, refreshed] = [keys.access(tokenDigest), keys.refresh(tokenDigest)]
    return parsePointer(await fromRedis(redis.get(access))) ?? parsePointer(await fromRedis(redis.get(refreshed)))
  }

  /** Finds an open session by its id alone. It reads all keys of Redis, in small steps: for operators, not for requests. */
  async function seek(sessionId: string): Promise<Session | null> {
    if (!validate(sessionId)) return null
    const pattern = `${keys.sessionsStart.replaceAll(/[\\*?[\]]/g, String.raw`\$&`)}*`
    for (const node of knownPrimariesOf(redis)) {
      let cursor = '0'
      do {
        const [next, found] = await fromRedis(node.scan(cursor, 'MATCH', pattern, 'COUNT', seekStep, 'TYPE', 'hash'))
        cursor = next
        const held = await Promise.all(found.map((key) => fromRedis(redis.hexists(key, sessionId))))
        const owner = found.find((_, i) => held[i] === 1)
        if (owner) return find(owner.slice(keys.sessionsStart.length, -1), sessionId)
      } while (cursor !== '0')
    }
    return null
  }

  async function hold(userId: string, sessionId: string): Promise<Held | null> {
    if (sessionId === 'user') return null
    const json = await fromRedis(redis.hget(keys.sessions(userId), sessionId))
    const session = json === null ? null : decodeSession(userId, sessionId, json)
    return session && { session, json: json! }
  }

  /** Renames the device of an open session; null when there is no such session. */
  async function rename(userId: string, sessionId: string, deviceName: string | null): Promise<Session | null> {
    for (let held = await hold(userId, sessionId); held;) {
      if (lapseOf(held.session, lives(), clock.now())) return null
      const next = { ...held.session, deviceName }
      const outcome: 'won' | Held | null = await swap(held, next)
      if (outcome === 'won') return inForce(next, lives())
      held = outcome
    }
    return null
  }

  /** Renews the card beside the sessions after a change of the person. */
  async function putCard(userId: string, card: Card): Promise<void> {
    await fromRedis(redis.latchkeyCard(keys.sessions(userId), encodeCard(card)))
  }

  function freshPair({ accessDigest, refreshDigest }: Minted, now: number, sessionExpiresAt: number) {
    const { accessMs, idleMs } = lives()
    const idleExpiresAt = Math.min(now + idleMs, sessionExpiresAt)
    return {
      refreshedAt: now,
      lastSeenAt: now,
      idleExpiresAt,
      access: {
        digestStart: startOf(accessDigest),
        expiresAt: Math.min(now + accessMs, idleExpiresAt),
      },
      refreshDigest,
    }
  }

  /** Pointers outlive their tokens, so that a late bearer is told `expired` and not `unknown`. */
  function pointersOf(session: Session, accessDigest: string, now: number): [Pointer, Pointer] {
    const { accessMs, reuseWindowMs } = lives()
    const target = pointerTo({ userId: session.userId, sessionId: session.id })
    return [
      {
        key: keys.access(accessDigest),
        target,
        lifeMs: session.access.expiresAt - now + accessMs,
      },
      { key: keys.refresh(session.refreshDigest), target, lifeMs: session.idleExpiresAt - now + reuseWindowMs },
    ]
  }

  async function writePointers(pointers: Pointer[]): Promise<void> {
    await fromRedis(Promise.all(pointers.map(({ key, target, lifeMs }) => redis.set(key, target, 'PX', lifeMs))))
  }

  /**
   * Notes endings that are done here and could not be journalled, so that whoever asks again can have them confirmed.
   */
  async function noteUnwritten(userId: string, sessionIds: string[], reason: EndReason): Promise<void> {
    const { idleMs, reuseWindowMs } = lives()
    if (sessionIds.length === 0) return
    const key = keys.unwritten(userId)
    await fromRedis(redis.hset(key, Object.fromEntries(sessionIds.map((id) => [id, reason]))))
    await fromRedis(redis.pexpire(key, idleMs + reuseWindowMs))
  }

  /** The endings that {@link noteUnwritten} has noted, by session. */
  async function unwritten(userId: string): Promise<Map<string, EndReason>> {
    const fields = await fromRedis(redis.hgetall(keys.unwritten(userId)))
    return new Map(Object.entries(fields) as [string, EndReason][])
  }

  /** Forgets what was noted, once it is journalled. */
  async function forgetUnwritten(userId: string, sessionIds: Iterable<string>): Promise<void> {
    await fromRedis(redis.hdel(keys.unwritten(userId), ...sessionIds))
  }

  /**
   * Estimates how many sessions are open, by drawing keys at random, with no scan.
   *
   * An open session has exactly one refresh pointer that it names as its live one. So a key drawn at random is such a
   * pointer with the probability open / keys, and the share among the draws, times the number of keys, estimates what is
   * open. The draws are independent, and each counts 0 or 1, so the error is that of a binomial share p of n draws:
   * √((1 - p) / (p n)) of the figure. That is 4 % where every third key is such a pointer, and 30 % where spent pointers
   * (one a refresh, for the reuse window) or the keys of others leave it one in a hundred; it does not depend on the
   * number of sessions. Redis draws almost evenly (RANDOMKEY, since version 6), whatever the key is.
   *
   * Each server of a cluster is drawn from by itself; the figures add up, and so do the squares of the errors.
   *
   * @param draws in all, a hundred at a time, so that nobody waits behind them
   * @returns the standard error with it; of no hits at all it is that of one
   * @throws AppError `unavailable`
   */
  async function estimateOpen(draws = sampleDraws): Promise<{ open: number; standardError: number }> {
    const nodes = knownPrimariesOf(redis)
    const parts = await Promise.all(nodes.map((node) => estimateAt(node, Math.ceil(draws / nodes.length))))
    return {
      open: Math.round(parts.reduce((sum, { open: some }) => sum + some, 0)),
      standardError: Math.round(Math.sqrt(parts.reduce((sum, { variance }) => sum + variance, 0))),
    }
  }

  async function estimateAt(node: Node, draws: number): Promise<{ open: number; variance: number }> {
    let [hits, keyCount] = [0, 0]
    for (let drawn = 0; drawn < draws; drawn += sampleBatch) {
      const keysDrawn = Array.from({ length: Math.min(sampleBatch, draws - drawn) }, () => node.randomkey())
      const [size, ...found] = await fromRedis(Promise.all([node.dbsize(), ...keysDrawn]))
      keyCount = size
      hits += (await Promise.all(found.map(isOfOpenSession))).filter(Boolean).length
    }
    const share = Math.min(Math.max(hits, 1), draws - 1) / draws
    return { open: (keyCount * hits) / draws, variance: (keyCount ** 2 * share * (1 - share)) / draws }
  }

  /** Whether a key is the pointer of the live refresh token of an open session. */
  async function isOfOpenSession(key: string | null): Promise<boolean> {
    const start = keys.refresh('')
    if (!key?.startsWith(start)) return false
    const pointer = parsePointer(await fromRedis(redis.get(key)))
    const held = pointer && (await hold(pointer.userId, pointer.sessionId))
    return (
      held?.session.refreshDigest === key.slice(start.length) && lapseOf(held.session, lives(), clock.now()) === null
    )
  }

  /** Waits for the writes that go on behind answers. */
  async function settle(): Promise<void> {
    await Promise.all(behind)
  }

  return {
    check,
    open,
    present,
    refresh,
    replacePair,
    end,
    endOthers,
    endAll,
    endOlder,
    list,
    find,
    locate,
    seek,
    rename,
    putCard,
    reasonOf,
    noteUnwritten,
    unwritten,
    forgetUnwritten,
    estimateOpen,
    settle,
    /** Where all the sessions of a user lie. */
    keyOf: keys.sessions,
    /** For operators, who look for what the two stores do not agree on. */
    upkeep,
  }
}

function stillCounting(previous: Session['previous'], now: number): Session['previous'] {
  return previous && now < previous.graceEndsAt ? previous : null
}
