/**
 * A session as it is stored, and what its stored state says about a token at a given time. Pure: no Redis here.
 *
 * The keys' own TTLs only clean up. What decides is the expiry inside, compared with the clock that is passed in.
 */

/** Why a session ended; the bearer of one of its tokens is told. */
export const endReasons = [
  'expired',
  'idle',
  'logged-out',
  'logged-out-everywhere',
  'revoked',
  'password-changed',
  'password-reset',
  'reused',
  'evicted',
  'disabled',
] as const

export type EndReason = (typeof endReasons)[number]

/** The client that holds a session, as it last showed itself. */
export interface Client {
  address: string | null
  userAgent: string | null
}

/** One login on one client. Times are milliseconds since the epoch. */
export interface Session {
  id: string
  userId: string
  /** The person's session epoch when it was opened; a person whose epoch has moved on has none of these any more. */
  epoch: number
  createdAt: number
  refreshedAt: number
  lastSeenAt: number
  idleExpiresAt: number
  expiresAt: number
  deviceName: string | null
  client: Client
  access: { digestStart: string; expiresAt: number }
  refreshDigest: string
  /** The pair before this one, while something of it still counts. */
  previous: Previous | null
}

export interface Previous {
  accessDigestStart: string
  accessIssuedAt: number
  /** The old access token works until here, so that requests under way at a refresh are not cut off. */
  accessExpiresAt: number
  refreshDigestStart: string
  graceEndsAt: number
  /** The live pair, sealed under the old refresh token. */
  replay: string
}

/**
 * The start of a digest, 32 bits, by which a session tells its tokens apart.
 *
 * That a token is one of its own, the pointer has said, which is found by the whole digest.
 */
export function startOf(digest: string): string {
  return digest.slice(0, 8)
}

/** How long things live, in milliseconds; asked anew for each operation, since they change while sessions are open. */
export interface Lives {
  accessMs: number
  idleMs: number
  absoluteMs: number
  graceMs: number
  reuseWindowMs: number
  perUserMax: number
  /**
   * Up to when, in milliseconds since the epoch, whatever was issued has lapsed under a life that held before: it stays
   * dead, however long today's is.
   */
  accessLapsedTo: number
  idleLapsedTo: number
  absoluteLapsedTo: number
  graceLapsedTo: number
}

/**
 * A session with the times that count: each the stored one, or what today's lives make of it, whichever is earlier.
 *
 * So a life that was shortened ends open sessions too (CVE-2025-11429), and one that was made longer moves nothing that
 * is stored, nor revives what a shorter one has ended. Most of the time nothing was shortened; then it is the same
 * object, since every token check comes here.
 */
export function inForce(session: Session, lives: Lives): Session {
  const { createdAt, refreshedAt, access, previous } = session
  const { accessMs, accessLapsedTo, idleMs, idleLapsedTo, absoluteMs, absoluteLapsedTo, graceMs, graceLapsedTo } = lives
  const expiresAt = Math.min(session.expiresAt, endOfLife(createdAt, absoluteMs, absoluteLapsedTo))
  const idleExpiresAt = Math.min(session.idleExpiresAt, endOfLife(refreshedAt, idleMs, idleLapsedTo), expiresAt)
  const accessExpiresAt = Math.min(access.expiresAt, endOfLife(refreshedAt, accessMs, accessLapsedTo), idleExpiresAt)
  const graceEndsAt = previous && Math.min(previous.graceEndsAt, endOfLife(refreshedAt, graceMs, graceLapsedTo))
  const previousExpiresAt =
    previous &&
    Math.min(previous.accessExpiresAt, endOfLife(previous.accessIssuedAt, accessMs, accessLapsedTo), graceEndsAt!)
  if (
    expiresAt === session.expiresAt &&
    idleExpiresAt === session.idleExpiresAt &&
    accessExpiresAt === access.expiresAt &&
    graceEndsAt === (previous && previous.graceEndsAt) &&
    previousExpiresAt === (previous && previous.accessExpiresAt)
  )
    return session
  return {
    ...session,
    expiresAt,
    idleExpiresAt,
    access: { ...access, expiresAt: accessExpiresAt },
    previous: previous && { ...previous, graceEndsAt: graceEndsAt!, accessExpiresAt: previousExpiresAt! },
  }
}

/** When a life ends that began at a time; one that a shorter life has ended counts as if it had never lasted. */
function endOfLife(beganAt: number, lifeMs: number, lapsedTo: number): number {
  return beganAt > lapsedTo ? beganAt + lifeMs : beganAt
}

/** With the session under today's lives, and when the token was issued and expires. */
export type AccessVerdict =
  { kind: 'live'; session: Session; issuedAt: number; expiresAt: number } | { kind: 'dead'; reason: 'expired' | 'idle' }

/** Whether an access token that points to this session opens anything now. */
export function judgeAccess(stored: Session, accessDigest: string, lives: Lives, now: number): AccessVerdict {
  const session = inForce(stored, lives)
  const lapse = lapseAt(session, now)
  if (lapse) return { kind: 'dead', reason: lapse }
  const { access, previous } = session
  const start = startOf(accessDigest)
  if (start === access.digestStart && now < access.expiresAt)
    return { kind: 'live', session, issuedAt: session.refreshedAt, expiresAt: access.expiresAt }
  if (start === previous?.accessDigestStart && now < previous.accessExpiresAt)
    return { kind: 'live', session, issuedAt: previous.accessIssuedAt, expiresAt: previous.accessExpiresAt }
  return { kind: 'dead', reason: 'expired' }
}

export type RefreshVerdict =
  | { kind: 'live' }
  | { kind: 'replay'; sealed: string }
  | { kind: 'reused' }
  | { kind: 'dead'; reason: 'expired' | 'idle' }

/**
 * What presenting a refresh token that points to this session means now.
 *
 * The direct predecessor within its grace window is a retry: its successor, being the live one, has not been used.
 * Every other spent token is reuse (RFC 9700 §4.14.2). Reuse stays reuse: no later state of a session makes it a retry.
 */
export function judgeRefresh(stored: Session, refreshDigest: string, lives: Lives, now: number): RefreshVerdict {
  const session = inForce(stored, lives)
  const lapse = lapseAt(session, now)
  if (lapse) return { kind: 'dead', reason: lapse }
  if (refreshDigest === session.refreshDigest) return { kind: 'live' }
  const { previous } = session
  if (previous && startOf(refreshDigest) === previous.refreshDigestStart && now < previous.graceEndsAt)
    return { kind: 'replay', sealed: previous.replay }
  return { kind: 'reused' }
}

/** Why a session has come to its end by itself, or null while it has not. */
export function lapseOf(stored: Session, lives: Lives, now: number): 'expired' | 'idle' | null {
  return lapseAt(inForce(stored, lives), now)
}

function lapseAt({ expiresAt, idleExpiresAt }: Session, now: number): 'expired' | 'idle' | null {
  if (now >= expiresAt) return 'expired'
  if (now >= idleExpiresAt) return 'idle'
  return null
}

/**
 * The JSON in a field of `sessions:{user}`: short, since there is one a session, and plain enough for an operator.
 *
 * The ends are not in it but the lives that led to them, in whole seconds. One that was cut short by the end of something
 * else is rounded up here and cut again when it is read, so each end comes back to the millisecond.
 */
export function encodeSession(session: Session): string {
  const { createdAt, refreshedAt, lastSeenAt, idleExpiresAt, expiresAt, client, access, previous } = session
  const stored: StoredSession = {
    epoch: session.epoch || undefined,
    times: [createdAt, refreshedAt, lastSeenAt],
    ttl: [
      secondsBetween(refreshedAt, access.expiresAt),
      secondsBetween(refreshedAt, idleExpiresAt),
      secondsBetween(createdAt, expiresAt),
    ],
    device: session.deviceName ?? undefined,
    ip: client.address ?? undefined,
    ua: client.userAgent ?? undefined,
    pair: [access.digestStart, session.refreshDigest],
    previous: previous
      ? {
          issued: previous.accessIssuedAt,
          ttl: [
            secondsBetween(previous.accessIssuedAt, previous.accessExpiresAt),
            secondsBetween(refreshedAt, previous.graceEndsAt),
          ],
          pair: [previous.accessDigestStart, previous.refreshDigestStart],
          replay: previous.replay,
        }
      : undefined,
  }
  return JSON.stringify(stored)
}

function secondsBetween(beganAt: number, endsAt: number): number {
  return Math.ceil((endsAt - beganAt) / 1000)
}

/** Reads what {@link encodeSession} wrote; null for a field that is damaged, which then is no session. */
export function decodeSession(userId: string, id: string, json: string): Session | null {
  try {
    const stored = JSON.parse(json) as StoredSession
    if (!isWhole(stored)) return null
    const { times, ttl, pair, previous } = stored
    const createdAt = times[0] // by the index, as each token check comes here and a pattern takes an iterator
    const refreshedAt = times[1]
    const expiresAt = createdAt + ttl[2] * 1000
    const idleExpiresAt = Math.min(refreshedAt + ttl[1] * 1000, expiresAt)
    return {
      id,
      userId,
      epoch: stored.epoch ?? 0,
      createdAt,
      refreshedAt,
      lastSeenAt: times[2],
      idleExpiresAt,
      expiresAt,
      deviceName: stored.device ?? null,
      client: { address: stored.ip ?? null, userAgent: stored.ua ?? null },
      access: { digestStart: pair[0], expiresAt: Math.min(refreshedAt + ttl[0] * 1000, idleExpiresAt) },
      refreshDigest: pair[1],
      previous: previous ? decodePrevious(previous, refreshedAt, expiresAt) : null,
    }
  } catch {
    return null
  }
}

function decodePrevious(stored: StoredPrevious, refreshedAt: number, expiresAt: number): Previous {
  const { issued, ttl, pair, replay } = stored
  const graceEndsAt = refreshedAt + ttl[1] * 1000
  return {
    accessDigestStart: pair[0],
    accessIssuedAt: issued,
    accessExpiresAt: Math.min(issued + ttl[0] * 1000, graceEndsAt, expiresAt),
    refreshDigestStart: pair[1],
    graceEndsAt,
    replay,
  }
}

/** Whether everything is there that a decision or an answer rests on; an operator's hand may have been in it. */
function isWhole({ epoch, times, ttl, pair }: StoredSession): boolean {
  return (
    (epoch === undefined || Number.isSafeInteger(epoch)) &&
    areIntegers(times, timeMaxMs) &&
    areIntegers(ttl, ttlMaxSeconds) &&
    Array.isArray(pair) &&
    typeof pair[0] === 'string' &&
    typeof pair[1] === 'string'
  )
}

/** Whether these are three integers and none is beyond the bound. */
function areIntegers(list: number[], max: number): boolean {
  return isInteger(list[0], max) && isInteger(list[1], max) && isInteger(list[2], max)
}

function isInteger(value: number | undefined, max: number): boolean {
  return Number.isSafeInteger(value) && Math.abs(value!) <= max
}

/** Half of the latest time that a Date can hold: a time and a life together must not be later. */
const timeMaxMs = 8.64e15 / 2
const ttlMaxSeconds = timeMaxMs / 1000

interface StoredSession {
  epoch?: number | undefined
  /** In milliseconds since the epoch: the login, the last refresh, the last use. */
  times: [createdAt: number, refreshedAt: number, lastSeenAt: number]
  /** In seconds: of the access token, of the session unless it is refreshed, of the session in any case. */
  ttl: [access: number, idle: number, absolute: number]
  device?: string | undefined
  ip?: string | undefined
  ua?: string | undefined
  pair: [accessDigestStart: string, refreshDigest: string]
  previous?: StoredPrevious | undefined
}

interface StoredPrevious {
  issued: number
  /** In seconds: of the access token, since it was issued; and of the grace, since the refresh. */
  ttl: [access: number, grace: number]
  pair: [accessDigestStart: string, refreshDigestStart: string]
  replay: string
}

/** The JSON of `ended:{session}`. */
export function encodeTombstone(reason: EndReason, now: number): string {
  return JSON.stringify({ reason, at: new Date(now).toISOString() })
}

/** Reads the reason of what {@link encodeTombstone} wrote; null when it is missing or damaged. */
export function decodeReason(json: string | null): EndReason | null {
  const text = json === null ? undefined : /"reason":"([a-z-]+)"/.exec(json)?.[1]
  return endReasons.find((reason) => reason === text) ?? null
}

/** Who the person is, kept beside the sessions so that a token check needs no database. */
export interface Card {
  username: string | null
  email: string
  verified: boolean
  role: string
  /** When the person was last changed, in milliseconds; an older card never replaces a newer one. */
  updatedAt: number
}

export function encodeCard(card: Card): string {
  return JSON.stringify({
    username: card.username ?? undefined,
    email: card.email,
    verified: card.verified,
    role: card.role,
    updated_at: card.updatedAt,
  })
}

/** Reads what {@link encodeCard} wrote; null for a card that is missing or damaged. */
export function decodeCard(json: string | null): Card | null {
  if (json === null) return null
  try {
    const stored = JSON.parse(json) as StoredCard
    if (!isWholeCard(stored)) return null
    return {
      username: stored.username ?? null,
      email: stored.email,
      verified: stored.verified,
      role: stored.role,
      updatedAt: stored.updated_at,
    }
  } catch {
    return null
  }
}

interface StoredCard {
  username?: string
  email: string
  verified: boolean
  role: string
  updated_at: number
}

/** Whether all of a card is there, in characters that may stand in a header: it names people to gateways. */
function isWholeCard({ username, email, verified, role, updated_at }: StoredCard): boolean {
  return (
    (username === undefined || isPlainText(username)) &&
    isPlainText(email) &&
    isPlainText(role) &&
    typeof verified === 'boolean' &&
    typeof updated_at === 'number'
  )
}

function isPlainText(value: unknown): boolean {
  return typeof value === 'string' && /^[!-~]+$/.test(value)
}
