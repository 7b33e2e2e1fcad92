import { deleteInBatches, fromPostgres, type Knex } from '../platform/postgres.ts'
import type { EndReason } from '../sessions/index.ts'

export interface RecordedEnding {
  sessionId: string
  userId: string
  reason: EndReason
  /** Who ended it: the person themselves, an admin, or null for the service. */
  actorId: string | null
  /** For a notice to the owner, if the ending has one. */
  deviceName?: string | null
}

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

  /** Forgets the endings of a person who is being deleted: no token of theirs can be refreshed any more. */
  async function forget(trx: Knex, userId: string): Promise<void> {
    await trx('session_endings').where({ user_id: userId }).delete()
  }

  /** Removes endings of sessions that are over by their age anyway; returns how many. */
  async function prune(before: Date): Promise<number> {
    return deleteInBatches(knex, 'session_endings', (old) => old.where('ended_at', '<', before))
  }

  return { record, forget, prune }
}
