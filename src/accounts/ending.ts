import { AppError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { Sessions } from '../sessions/index.ts'
import { consequences as table, type Consequences } from './consequences.ts'
import type { Ending, EndingsTable } from './endings-table.ts'
import type { UsersTable } from './users-table.ts'

/** The session that a request came with. */
export interface Caller {
  userId: string
  sessionId: string
}

export interface EndingDeps {
  users: UsersTable
  endings: EndingsTable
  consequences: Consequences
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
export function createEnding({ users, endings, consequences, sessions, clock, log }: EndingDeps) {
  /** Ends the named sessions of a person; returns how many of them were open. */
  async function end(
    event: 'logout' | 'revoke-one' | 'revoke-others' | 'reuse',
    userId: string,
    sessionIds: string[],
    actorId: string | null = userId,
  ): Promise<number> {
    const { reason } = table[event]
    const rows = sessionIds.map((sessionId) => ({ sessionId, userId, reason, actorId }))
    const [ended] = await both(
      sessions.end(userId, sessionIds, reason),
      journal(userId, rows).catch(async (error: unknown) => {
        await Promise.allSettled([sessions.noteUnwritten(userId, sessionIds, reason)])
        throw error
      }),
    )
    for (const { id } of ended) log('session.ended', { user_id: userId, session_id: id, reason })
    return ended.length
  }

  /**
   * Journals endings, and with them those of the person that are noted in Redis because the journal was away.
   *
   * Without the notes a repeated request would find nothing left to end, and confirm what was never written down.
   */
  async function journal(userId: string, rows: Ending[]): Promise<void> {
    const [owed] = await Promise.allSettled([sessions.unwritten(userId)])
    const notes = owed.status === 'fulfilled' ? [...owed.value] : []
    if (notes.some(([id]) => id === 'all')) await users.moveEpoch(userId)
    const owedRows = notes
      .filter(([id]) => id !== 'all')
      .map(([sessionId, reason]) => ({ sessionId, userId, reason, actorId: null }))
    await endings.record([...owedRows, ...rows], new Date(clock.now()))
    if (owed.status === 'rejected') throw owed.reason
    const noted = notes.map(([id]) => id)
    if (noted.length > 0) await sessions.forgetUnwritten(userId, noted)
  }

  /** Confirms, for the bearer of a token that is dead already, that the ending is written down. */
  async function confirmEnding({ userId }: Caller): Promise<void> {
    await journal(userId, [])
  }

  /** Logs out the session of the access token. */
  async function logOut({ userId, sessionId }: Caller): Promise<void> {
    await end('logout', userId, [sessionId])
  }

  /**
   * Logs out the session of a refresh token, live or spent.
   *
   * A token that leads nowhere is no error (RFC 7009 §2.2): what its bearer wants is already so.
   */
  async function logOutByRefreshToken(refreshToken: string): Promise<void> {
    const presented = await sessions.present(refreshToken)
    switch (presented.kind) {
      case 'unknown':
        return
      case 'ended':
        return confirmEnding(presented)
      case 'reused':
        return logOut({ userId: presented.session.userId, sessionId: presented.session.id })
      case 'usable': {
        const { userId, id } = presented.held.session
        return logOut({ userId, sessionId: id })
      }
    }
  }

  /**
   * Ends the session of a token of either kind, live or not any more (RFC 7009). One that leads nowhere is no error.
   *
   * An expired access token is taken for its session: whoever revokes it wants to be signed out, not to be told that this
   * one token is of no use any more while the refresh token beside it still is.
   */
  async function revokeToken(token: string): Promise<void> {
    const checked = await sessions.check(token)
    switch (checked.kind) {
      case 'unknown':
        return logOutByRefreshToken(token)
      case 'ended':
        return confirmEnding(checked)
      case 'lapsed':
        return logOut(checked)
      case 'live':
        return logOut({ userId: checked.session.userId, sessionId: checked.session.id })
    }
  }

  /**
   * Logs a person out everywhere; returns how many sessions were open.
   *
   * The epoch moves first: a login that adds its session after the set was cleared then finds, when it reads the epoch
   * again, that it came too late.
   */
  async function logOutEverywhere({ userId }: Caller): Promise<number> {
    const { reason } = table['logout-all']
    const [moved] = await Promise.allSettled([users.moveEpoch(userId)])
    const ended = await consequences.endSessions('logout-all', userId)
    if (moved.status === 'rejected') {
      await Promise.allSettled([sessions.noteUnwritten(userId, 'all', reason)])
      throw moved.reason
    }
    log('sessions.ended', { user_id: userId, count: ended.length, reason })
    return ended.length
  }

  /** Ends one session of the caller, this one or another. @throws AppError `not-found`, for foreign ids too */
  async function revoke({ userId }: Caller, sessionId: string): Promise<void> {
    if (await sessions.find(userId, sessionId)) {
      await end('revoke-one', userId, [sessionId])
      return
    }
    if (!(await sessions.unwritten(userId)).has(sessionId)) throw new AppError('not-found')
    await journal(userId, [])
  }

  /** Ends all sessions of the caller but this one; returns how many that were. */
  async function revokeOthers({ userId, sessionId }: Caller): Promise<number> {
    const others = (await sessions.list(userId)).map(({ id }) => id).filter((id) => id !== sessionId)
    return end('revoke-others', userId, others)
  }

  return { end, confirmEnding, logOut, logOutByRefreshToken, revokeToken, logOutEverywhere, revoke, revokeOthers }
}

/** Waits for two writes, whatever becomes of either, and fails if one has. */
async function both<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second])
  return [await first, await second]
}
