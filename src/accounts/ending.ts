import type { Actor } from '../audit/index.ts'
import { AppError } from '../errors.ts'
import type { Knex } from '../platform/postgres.ts'
import type { Client, EndReason } from '../sessions/index.ts'
import { owner, theService } from './actor.ts'
import { consequences as table, type Consequences } from './consequences.ts'
import type { RecordedEnding } from './endings-table.ts'
import type { Parts } from './parts.ts'

/** The session that a request came with, and the client that sent it. */
export interface Caller {
  userId: string
  sessionId: string
  client: Client
}

/** A session that has ended, and why, as Redis has it. */
export interface DeadSession {
  userId: string
  sessionId: string
  reason: EndReason
}

export type Ending = ReturnType<typeof createEnding>

/**
 * All the ways a session is ended on purpose.
 *
 * Each writes to both stores, PostgreSQL first, and tries the second even when the first has failed. It returns only when
 * both have confirmed, and throws AppError `unavailable` otherwise; repeating it is harmless.
 *
 * PostgreSQL first, because a Redis that takes over and lacks what the old one confirmed is told what PostgreSQL knows:
 * an ending that is written down only after it was told again would be forgotten.
 */
export function createEnding({
  users,
  endings,
  consequences,
  sessions,
  audit,
  clock,
  log,
}: Parts & { consequences: Consequences }) {
  /** Ends the named sessions of a person; returns how many of them were open. */
  async function end(
    event: 'logout' | 'revoke-one' | 'revoke-others' | 'reuse',
    userId: string,
    sessionIds: string[],
    by: Actor,
    deviceName: string | null = null,
  ): Promise<number> {
    const { reason } = table[event]
    const rows = sessionIds.map((sessionId) => ({ sessionId, userId, reason, actorId: by.id, deviceName }))
    const [journalled] = await Promise.allSettled([journal(userId, rows, by)])
    const ended = await sessions.end(userId, sessionIds, reason)
    if (journalled.status === 'rejected') {
      await Promise.allSettled([sessions.noteUnwritten(userId, sessionIds, reason)])
      throw journalled.reason
    }
    for (const { id } of ended) log('session.ended', { user_id: userId, session_id: id, reason })
    return ended.length
  }

  /**
   * Journals endings, and with them those of the person that are noted in Redis because the journal was away.
   *
   * Without the notes a repeated request would find nothing left to end, and confirm what was never written down.
   */
  async function journal(userId: string, rows: RecordedEnding[], by: Actor): Promise<void> {
    const [owed] = await Promise.allSettled([sessions.unwritten(userId)])
    const notes = owed.status === 'fulfilled' ? [...owed.value] : []
    const owedRows = notes.map(([sessionId, reason]) => ({ sessionId, userId, reason, actorId: null }))
    if (notes.length + rows.length > 0)
      await users.alongside(async (trx) => {
        await record(trx, owedRows, theService)
        await record(trx, rows, by)
      })
    if (owed.status === 'rejected') throw owed.reason
    const noted = notes.map(([id]) => id)
    if (noted.length > 0) await sessions.forgetUnwritten(userId, noted)
  }

  /**
   * Writes endings down, and of those that were not written before an event each.
   *
   * Of a reuse the owner is told as well: with the first writing, and so once, however late it comes.
   */
  async function record(trx: Knex, rows: RecordedEnding[], by: Actor): Promise<void> {
    const recorded = await endings.record(trx, rows, new Date(clock.now()))
    await audit.record(
      trx,
      ...recorded.map(({ userId, sessionId, reason }) => ({
        event: 'session.ended' as const,
        actor: by,
        userId,
        sessionId,
        detail: { reason },
      })),
    )
    for (const { userId, sessionId, deviceName } of recorded.filter(({ reason }) => reason === table.reuse.reason)) {
      const person = await users.lock(trx, userId)
      if (person)
        await consequences.follow(trx, 'reuse', { person, by, sessionId, facts: { deviceName: deviceName ?? null } })
    }
  }

  async function moveEpoch(userId: string, reason: EndReason, by: Actor): Promise<void> {
    await users.alongside(async (trx) => {
      await endings.moveEpoch(trx, userId, reason, new Date(clock.now()))
      await audit.record(trx, { event: 'sessions.ended', actor: by, userId, detail: { reason } })
    })
  }

  /**
   * Confirms, for the bearer of a token that is dead already, that the ending is written down.
   *
   * It is written in any case: whoever ended the session may have been killed between the stores, with nothing noted. The
   * audit has no event of it, since most of these endings are there already, as those of all sessions at once; but a
   * reuse is never among those.
   */
  async function confirmEnding({ userId, sessionId, reason }: DeadSession): Promise<void> {
    await journal(userId, [], theService)
    const isOverByItself = reason === 'expired' || reason === 'idle'
    if (isOverByItself) return
    const row = { sessionId, userId, reason, actorId: null }
    await users.alongside(async (trx) => {
      if (reason === table.reuse.reason) await record(trx, [row], theService)
      else await endings.record(trx, [row], new Date(clock.now()))
    })
  }

  /** Logs out the session of the access token. */
  async function logOut({ userId, sessionId, client }: Caller): Promise<void> {
    await end('logout', userId, [sessionId], owner(userId, client))
  }

  /**
   * Logs out the session of a refresh token, live or spent.
   *
   * A token that leads nowhere is no error (RFC 7009 §2.2): what its bearer wants is already so.
   */
  async function logOutByRefreshToken(refreshToken: string, client: Client): Promise<void> {
    const presented = await sessions.present(refreshToken)
    switch (presented.kind) {
      case 'unknown':
        return
      case 'ended':
        return confirmEnding(presented)
      case 'reused':
        return logOut({ userId: presented.session.userId, sessionId: presented.session.id, client })
      case 'usable': {
        const { userId, id } = presented.held.session
        return logOut({ userId, sessionId: id, client })
      }
    }
  }

  /**
   * Ends the session of a token of either kind, live or not any more (RFC 7009). One that leads nowhere is no error.
   *
   * An expired access token is taken for its session: whoever revokes it wants to be signed out, not to be told that this
   * one token is of no use any more while the refresh token beside it still is.
   */
  async function revokeToken(token: string, client: Client): Promise<void> {
    const checked = await sessions.check(token)
    switch (checked.kind) {
      case 'unknown':
        return logOutByRefreshToken(token, client)
      case 'ended':
        return confirmEnding(checked)
      case 'lapsed':
        return logOut({ ...checked, client })
      case 'live':
        return logOut({ userId: checked.session.userId, sessionId: checked.session.id, client })
    }
  }

  /**
   * Ends all sessions of a person; returns how many were open.
   *
   * The epoch moves first: a login that adds its session after the set was cleared then finds, when it reads the epoch
   * again, that it came too late. Where it could not be moved, the sessions that have ended are owed to the journal one by
   * one: an epoch that moves later would void those that were opened since.
   */
  async function endAll(event: 'logout-all' | 'revoke-all', userId: string, by: Actor): Promise<number> {
    const { reason } = table[event]
    const [moved] = await Promise.allSettled([moveEpoch(userId, reason, by)])
    const ended = await consequences.endSessions(event, userId)
    if (moved.status === 'rejected') {
      const endedIds = ended.map(({ id }) => id)
      await Promise.allSettled([sessions.noteUnwritten(userId, endedIds, reason)])
      throw moved.reason
    }
    log('sessions.ended', { user_id: userId, count: ended.length, reason })
    return ended.length
  }

  /** Logs a person out everywhere; returns how many sessions were open. */
  async function logOutEverywhere({ userId, client }: Caller): Promise<number> {
    return endAll('logout-all', userId, owner(userId, client))
  }

  /** Ends one session of the caller, this one or another. @throws AppError `not-found`, for foreign ids too */
  async function revoke({ userId, client }: Caller, sessionId: string): Promise<void> {
    await endOne(userId, sessionId, owner(userId, client))
  }

  /** Ends one session of a person. @throws AppError `not-found`, for another person's too */
  async function endOne(userId: string, sessionId: string, by: Actor): Promise<void> {
    if (await sessions.find(userId, sessionId)) {
      await end('revoke-one', userId, [sessionId], by)
      return
    }
    if (!(await sessions.unwritten(userId)).has(sessionId)) throw new AppError('not-found')
    await journal(userId, [], theService)
  }

  /** Ends all sessions of the caller but this one; returns how many that were. */
  async function revokeOthers({ userId, sessionId, client }: Caller): Promise<number> {
    const others = (await sessions.list(userId)).map(({ id }) => id).filter((id) => id !== sessionId)
    return end('revoke-others', userId, others, owner(userId, client))
  }

  return {
    end,
    endOne,
    endAll,
    record,
    confirmEnding,
    logOut,
    logOutByRefreshToken,
    revokeToken,
    logOutEverywhere,
    revoke,
    revokeOthers,
  }
}
