import { v7 } from 'uuid'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import { deleteInBatches, fromPostgres, type Knex } from '../platform/postgres.ts'
import type { ActorKind, AuditEntry, AuditEventName, AuditRecord } from './events.ts'

export {
  actorKinds,
  auditEvents,
  type Actor,
  type ActorKind,
  type AuditEntry,
  type AuditEventName,
  type AuditRecord,
} from './events.ts'

export type Audit = ReturnType<typeof createAudit>

/** Which events to list; all members narrow. `since` is included, `until` is not. */
export interface AuditFilter {
  userId?: string | undefined
  event?: AuditEventName | undefined
  since?: Date | undefined
  until?: Date | undefined
}

interface AuditRow {
  id: string
  at: Date
  event: AuditEventName
  user_id: string | null
  actor: ActorKind
  actor_id: string | null
  session_id: string | null
  address: string | null
  user_agent: string | null
  detail: AuditRecord['detail']
}

const pageMax = 100

/**
 * What has happened to accounts, sessions and settings, and by whom: rows that are added and never changed.
 *
 * They go when they are older than the retention, and not with the account: who looks into a theft needs them most then.
 *
 * @param retentionMs asked anew at each pruning
 */
export function createAudit({
  knex,
  clock,
  retentionMs,
  log,
}: {
  knex: Knex
  clock: Clock
  retentionMs: () => number
  log: Log
}) {
  /**
   * Writes events in the transaction of what they record: both are there, or neither.
   *
   * @throws AppError `unavailable` when PostgreSQL does not answer
   */
  async function record(trx: Knex, ...entries: AuditEntry[]): Promise<void> {
    if (entries.length === 0) return
    const at = new Date(clock.now())
    await fromPostgres(trx<AuditRow>('audit_events').insert(entries.map((entry) => toRow(entry, at))))
  }

  /**
   * Writes events of what has happened outside PostgreSQL and cannot be taken back.
   *
   * It never fails the caller, who would be told that nothing has happened; what could not be written is logged.
   */
  async function note(...entries: AuditEntry[]): Promise<void> {
    try {
      await record(knex, ...entries)
    } catch (error) {
      for (const { event, userId, sessionId } of entries)
        log('audit.lost', {
          reason: event,
          error: (error as Error).name,
          ...(userId && { user_id: userId }),
          ...(sessionId && { session_id: sessionId }),
        })
    }
  }

  /** Lists events, newest first, a page at a time; `cursor` is the `nextCursor` of the page before, a UUID. */
  async function list(
    { userId, event, since, until }: AuditFilter,
    { cursor, limit = pageMax }: { cursor?: string | undefined; limit?: number | undefined } = {},
  ): Promise<{ items: AuditRecord[]; nextCursor: string | null }> {
    const query = knex<AuditRow>('audit_events')
      .orderBy('id', 'desc')
      .limit(limit + 1)
    if (userId !== undefined) void query.where({ user_id: userId })
    if (event !== undefined) void query.where({ event })
    if (since !== undefined) void query.where('at', '>=', since)
    if (until !== undefined) void query.where('at', '<', until)
    if (cursor !== undefined) void query.where('id', '<', cursor)
    const rows = await fromPostgres(query)
    const items = rows.slice(0, limit).map(toRecord)
    return { items, nextCursor: rows.length > limit ? items.at(-1)!.id : null }
  }

  /** Removes what is older than the retention; returns how many rows that were. */
  async function prune(): Promise<number> {
    const before = new Date(clock.now() - retentionMs())
    return deleteInBatches(knex, 'audit_events', (old) => old.where('at', '<', before))
  }

  return { record, note, list, prune }
}

function toRow({ event, actor, userId, sessionId, detail }: AuditEntry, at: Date): AuditRow {
  return {
    id: v7(),
    at,
    event,
    user_id: userId ?? null,
    actor: actor.kind,
    actor_id: actor.id,
    session_id: sessionId ?? null,
    address: actor.address,
    user_agent: actor.userAgent,
    detail: detail ?? {},
  }
}

function toRecord(row: AuditRow): AuditRecord {
  return {
    id: row.id,
    at: row.at,
    event: row.event,
    userId: row.user_id,
    actor: { kind: row.actor, id: row.actor_id, address: row.address, userAgent: row.user_agent },
    sessionId: row.session_id,
    detail: row.detail,
  }
}
