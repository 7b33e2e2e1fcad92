import { AppError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { EndReason, Sessions } from '../sessions/index.ts'
import type { EndingsTable } from './endings-table.ts'
import type { UsersTable } from './users-table.ts'

/** The session that a request came with. */
export interface Caller {
  userId: string
  sessionId: string
}

export interface EndingDeps {
  users: UsersTable
  endings: EndingsTable
  sessions: Sessions
  clock: Clock
  log: Log
}

/**
 * All the ways a session is ended on purpose.
 *
 * Each writes to both stores and tries the second even when the first has failed. It returns only when both have
 * confirmed, and throws AppError `unavailable` otherwise; repeating it is harmless.
 */
export function createEnding({ users, endings, sessions, clock, log }: EndingDeps) {
  /** Ends the named sessions of a person; returns how many of them were open. */
  async function end(
    userId: string,
    sessionIds: string[],
    reason: EndReason,
    actorId: string | null = userId,
  ): Promise<number> {
    const rows = sessionIds.map((sessionId) => ({ sessionId, userId, reason, actorId }))
    const [ended] = await both(sessions.end(userId, sessionIds, reason), endings.record(rows, new Date(clock.now())))
    for (const { id } of ended) log('session.ended', { user_id: userId, session_id: id, reason })
    return ended.length
  }

  /** Logs out the session of the access token. */
  async function logOut({ userId, sessionId }: Caller): Promise<void> {
    await end(userId, [sessionId], 'logged-out')
  }

  /**
   * Logs out the session of a refresh token, live or spent.
   *
   * A token that leads nowhere is no error (RFC 7009 §2.2): what its bearer wants is already so. A session that Redis has
   * lost is still journalled, in case an earlier try got no further.
   */
  async function logOutByRefreshToken(refreshToken: string): Promise<void> {
    const presented = await sessions.present(refreshToken)
    switch (presented.kind) {
      case 'unknown':
        return
      case 'ended':
        await end(presented.userId, [presented.sessionId], 'logged-out')
        return
      case 'reused':
        await end(presented.session.userId, [presented.session.id], 'logged-out')
        return
      case 'usable':
        await end(presented.held.session.userId, [presented.held.session.id], 'logged-out')
    }
  }

  /**
   * Logs a person out everywhere; returns how many sessions were open.
   *
   * The epoch moves first: a login that adds its session after the set was cleared then finds, when it reads the epoch
   * again, that it came too late.
   */
  async function logOutEverywhere({ userId }: Caller): Promise<number> {
    const moved = await settled(users.moveEpoch(userId))
    const [ended] = await both(sessions.endAll(userId, 'logged-out-everywhere'), moved())
    log('sessions.ended', { user_id: userId, count: ended.length, reason: 'logged-out-everywhere' })
    return ended.length
  }

  /** Ends one session of the caller, this one or another. @throws AppError `not-found`, for foreign ids too */
  async function revoke({ userId }: Caller, sessionId: string): Promise<void> {
    if (!(await sessions.find(userId, sessionId))) throw new AppError('not-found')
    await end(userId, [sessionId], 'revoked')
  }

  /** Ends all sessions of the caller but this one; returns how many that were. */
  async function revokeOthers({ userId, sessionId }: Caller): Promise<number> {
    const others = (await sessions.list(userId)).map(({ id }) => id).filter((id) => id !== sessionId)
    return end(userId, others, 'revoked')
  }

  return { end, logOut, logOutByRefreshToken, logOutEverywhere, revoke, revokeOthers }
}

/** Waits for two writes, whatever becomes of either, and fails if one has. */
async function both<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second])
  return [await first, await second]
}

/** Waits for a write and keeps its outcome for later. */
async function settled<T>(write: Promise<T>): Promise<() => Promise<T>> {
  await Promise.allSettled([write])
  return () => write
}
