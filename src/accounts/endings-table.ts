import { deleteInBatches, fromPostgres, pagesSince, type Knex } from '../platform/postgres.ts'
import type { EndReason } from '../sessions/index.ts'

export interface SessionEnding {
  sessionId: string
  userId: string
  reason: EndReason
}

export interface RecordedEnding extends SessionEnding {
  /** Who ended it: the person themselves, an admin, or null for the service. */
  actorId: string | null
  /** For a notice to the owner, if the ending has one. */
  deviceName?: string | null
}

/** All sessions of a person that were opened under an earlier epoch have ended. */
export interface MovedEpoch {
  userId: string
  epoch: number
  reason: EndReason
}

/** No session is opened under a later one. */
const epochMax = 2 ** 31 - 1

export type EndingsTable = ReturnType<typeof createEndingsTable>

/**
 * The journal of endings: what must stay ended even when Redis forgets it, as it may in a failover or a restore.
 *
 * The first reason counts; recording an ending again changes nothing.
 */
export function createEndingsTable(knex: Knex) {
  /** Records endings; returns those that were not recorded before. */
  async function record(trx: Knex, endings: RecordedEnding[], at: Date): Promise<RecordedEnding[]> {
    if (endings.length === 0) return []
    const rows = endings.map(({ sessionId, userId, reason, actorId }) => ({
      session_id: sessionId,
      user_id: userId,
      reason,
      actor_id: actorId,
      ended_at: at,
    }))
    const recorded = (await fromPostgres(
      trx('session_endings').insert(rows).onConflict('session_id').ignore().returning('session_id'),
    )) as { session_id: string }[]
    const ids = new Set(recorded.map((row) => row.session_id))
    return endings.filter(({ sessionId }) => ids.has(sessionId))
  }

  /**
   * Moves the epoch of a person: every session opened before is void from here on.
   *
   * @returns the new epoch, undefined when there is no such person
   */
  async function moveEpoch(trx: Knex, userId: string, reason: EndReason, at: Date): Promise<number | undefined> {
    const { rows } = (await fromPostgres(
      trx.raw(
        `with moved as (update users set session_epoch = session_epoch + 1 where id = ? returning id, session_epoch)
          insert into session_epochs (user_id, epoch, reason, moved_at) select id, session_epoch, ?, ? from moved
          on conflict (user_id) do update
            set epoch = excluded.epoch, reason = excluded.reason, moved_at = excluded.moved_at
          returning epoch`,
        [userId, reason, at],
      ),
    )) as { rows: { epoch: number }[] }
    return rows[0]?.epoch
  }

  /** Puts one epoch above all in the place of the endings of a person who is being deleted. */
  async function endForGood(trx: Knex, userId: string, reason: EndReason, at: Date): Promise<void> {
    await trx('session_endings').where({ user_id: userId }).delete()
    await trx('session_epochs')
      .insert({ user_id: userId, epoch: epochMax, reason, moved_at: at })
      .onConflict('user_id')
      .merge()
  }

  /** The endings of single sessions since a time, a page at a time. */
  async function* endedSince(since: Date): AsyncGenerator<SessionEnding[]> {
    type Row = { session_id: string; user_id: string; reason: EndReason }
    for await (const rows of pagesSince<Row>(knex('session_endings'), 'ended_at', 'session_id', since))
      yield rows.map(({ session_id: sessionId, user_id: userId, reason }) => ({ sessionId, userId, reason }))
  }

  /** The epochs that have moved since a time, a page at a time. */
  async function* epochsMovedSince(since: Date): AsyncGenerator<MovedEpoch[]> {
    type Row = { user_id: string; epoch: number; reason: EndReason }
    for await (const rows of pagesSince<Row>(knex('session_epochs'), 'moved_at', 'user_id', since))
      yield rows.map(({ user_id: userId, epoch, reason }) => ({ userId, epoch, reason }))
  }

  /** Removes endings of sessions that are over by their age anyway; returns how many. */
  async function prune(before: Date): Promise<number> {
    const single = await deleteInBatches(knex, 'session_endings', (old) => old.where('ended_at', '<', before))
    return single + (await deleteInBatches(knex, 'session_epochs', (old) => old.where('moved_at', '<', before)))
  }

  return { record, moveEpoch, endForGood, endedSince, epochsMovedSince, prune }
}
