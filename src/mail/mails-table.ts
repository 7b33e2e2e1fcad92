import { v7 } from 'uuid'
import { addJob, removeJob } from '../platform/jobs.ts'
import { deleteInBatches, fromPostgres, type Knex } from '../platform/postgres.ts'
import type { MailFacts, MailKind } from './letters.ts'

/** `dropped`: when its turn came nobody wanted it any more. */
export const mailStatuses = ['queued', 'sent', 'failed', 'dropped'] as const
export type MailStatus = (typeof mailStatuses)[number]

export interface Mail {
  id: string
  kind: MailKind
  userId: string
  address: string
  facts: MailFacts
}

/** A mail as an operator sees it. */
export interface MailRecord extends Mail {
  status: MailStatus
  attempts: number
  /** Why it did not go, the last time: an SMTP code or a code of the connection. Never text of the other side. */
  lastError: string | null
  createdAt: Date
  sentAt: Date | null
}

/** A mail that somebody has taken on to send. */
export interface Claimed extends Mail {
  messageId: string
  attempts: number
  /** Whether this attempt is the last one. */
  late: boolean
}

interface MailRow {
  id: string
  kind: MailKind
  user_id: string
  address: string
  facts: MailFacts
  message_id: string
  status: MailStatus
  attempts: number
  last_error: string | null
  created_at: Date
  sent_at: Date | null
}

/** The task of the job that belongs to a queued mail. */
export const sendTask = 'send-mail'

/** How long a mail is tried again before it counts as failed. */
const triedForMs = 24 * 3_600_000
/**
 * How long the one who has claimed a mail has for it. Whoever has not reported by then was killed, and it is sent again:
 * rather twice than not at all.
 */
export const claimMs = 60_000
const listMax = 100

const jobOf = (id: string) => ({ task: sendTask, payload: { id }, key: `mail:${id}` })

export type MailsTable = ReturnType<typeof createMailsTable>

/**
 * The mails, and of each that is queued a job in the same database, put there in the same transaction.
 *
 * The row decides, and the job only wakes somebody up: a job that comes too often finds nothing to claim. All times are
 * PostgreSQL's, which is also what the jobs go by.
 */
export function createMailsTable(knex: Knex) {
  async function insert(trx: Knex, mail: Omit<Mail, 'id'>, senderDomain: string): Promise<string> {
    const id = v7()
    await fromPostgres(
      trx('mails').insert({
        id,
        kind: mail.kind,
        user_id: mail.userId,
        address: mail.address,
        facts: JSON.stringify(mail.facts),
        message_id: `<${id}@${senderDomain}>`,
        gives_up_at: inFuture(trx, triedForMs),
      }),
    )
    await addJob(trx, jobOf(id))
    return id
  }

  /** Takes a mail on, for one alone; null when it is not due, not queued any more, or somebody else has it. */
  async function claim(id: string): Promise<Claimed | null> {
    return inTransaction(async (trx) => {
      const [row] = (await trx('mails')
        .where({ id, status: 'queued' })
        .andWhereRaw('next_attempt_at <= now()')
        .update({ attempts: trx.raw('attempts + 1'), next_attempt_at: inFuture(trx, claimMs) })
        .returning(['*', trx.raw('gives_up_at <= now() as late')])) as (MailRow & { late: boolean })[]
      if (!row) return null
      await addJob(trx, { ...jobOf(id), delayMs: claimMs })
      return { ...toMail(row), messageId: row.message_id, attempts: row.attempts, late: row.late }
    })
  }

  /** Makes sure that a mail which is still queued has a job, for when it is due; locked, so that it stays queued so long. */
  async function remind(id: string): Promise<void> {
    await inTransaction(async (trx) => {
      const row = (await trx('mails')
        .where({ id, status: 'queued' })
        .forUpdate()
        .first(trx.raw('extract(epoch from next_attempt_at - now()) * 1000 as due_in_ms'))) as
        { due_in_ms: string } | undefined
      if (row) await addJob(trx, { ...jobOf(id), delayMs: Math.max(0, Number(row.due_in_ms)) })
    })
  }

  /** Puts a claimed mail back into the queue. */
  async function postpone(id: string, reason: string, delayMs: number): Promise<void> {
    await inTransaction(async (trx) => {
      const count = await trx('mails')
        .where({ id, status: 'queued' })
        .update({ last_error: reason, next_attempt_at: inFuture(trx, delayMs) })
      if (count > 0) await addJob(trx, { ...jobOf(id), delayMs })
    })
  }

  /** Writes down what became of a claimed mail. */
  async function settle(id: string, status: 'sent' | 'failed' | 'dropped', reason: string | null): Promise<void> {
    await inTransaction(async (trx) => {
      await trx('mails')
        .where({ id, status: 'queued' })
        .update({ status, last_error: reason, sent_at: status === 'sent' ? trx.fn.now() : null })
      await removeJob(trx, jobOf(id).key)
    })
  }

  /** Puts a failed mail into the queue again, as if it were new. */
  async function requeue(id: string): Promise<'requeued' | 'not-failed' | 'not-found'> {
    return inTransaction(async (trx) => {
      const count = await trx('mails')
        .where({ id, status: 'failed' })
        .update({
          status: 'queued',
          attempts: 0,
          next_attempt_at: trx.fn.now(),
          gives_up_at: inFuture(trx, triedForMs),
        })
      if (count === 0) return (await trx('mails').where({ id }).first('id')) ? 'not-failed' : 'not-found'
      await addJob(trx, jobOf(id))
      return 'requeued'
    })
  }

  /** Lists mails, newest first, a page at a time. */
  async function list({ status, cursor }: { status?: MailStatus | undefined; cursor?: string | undefined }): Promise<{
    items: MailRecord[]
    nextCursor: string | null
  }> {
    const query = knex<MailRow>('mails')
      .orderBy('id', 'desc')
      .limit(listMax + 1)
    if (status) void query.where({ status })
    if (cursor) void query.where('id', '<', cursor)
    const rows = await fromPostgres(query)
    const items = rows.slice(0, listMax).map(toRecord)
    return { items, nextCursor: rows.length > listMax ? items.at(-1)!.id : null }
  }

  /** How many mails are still to be sent or were given up, and for how long the oldest of the first has been queued. */
  async function state(): Promise<{ queued: number; failed: number; oldestQueuedSeconds: number }> {
    const { rows } = await fromPostgres(
      knex.raw(
        `select count(*) filter (where status = 'queued') as queued,
          count(*) filter (where status = 'failed') as failed,
          coalesce(extract(epoch from now() - min(gives_up_at) filter (where status = 'queued')) + ?, 0) as oldest
        from mails where status in ('queued', 'failed')`,
        [triedForMs / 1000],
      ),
    )
    const { queued, failed, oldest } = rows[0] as Record<'queued' | 'failed' | 'oldest', string>
    return { queued: Number(queued), failed: Number(failed), oldestQueuedSeconds: Math.max(0, Number(oldest)) }
  }

  /**
   * Deletes what is done for long, and puts jobs back that were lost (with a restored copy of one schema, say).
   *
   * @returns how many mails it has deleted
   */
  async function tidy(): Promise<number> {
    const deleted = await deleteInBatches(knex, 'mails', (old) =>
      old.whereRaw(`
        (status in ('sent', 'dropped') and created_at < now() - interval '7 days')
          or (status = 'failed' and created_at < now() - interval '30 days')`),
    )
    const lost = await fromPostgres(
      knex('mails')
        .where({ status: 'queued' })
        .whereRaw(`next_attempt_at < now() - interval '5 minutes'`)
        .whereRaw(`not exists (select 1 from graphile_worker.jobs where key = 'mail:' || mails.id)`)
        .limit(1000)
        .pluck('id'),
    )
    for (const id of lost as string[]) await remind(id)
    return deleted
  }

  async function inTransaction<T>(work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
    return fromPostgres(knex.transaction(work))
  }

  return { insert, claim, remind, postpone, settle, requeue, list, state, tidy }
}

const inFuture = (knex: Knex, ms: number) => knex.raw(`now() + ? * interval '1 millisecond'`, [ms])

function toMail({ id, kind, user_id: userId, address, facts }: MailRow): Mail {
  return { id, kind, userId, address, facts }
}

function toRecord(row: MailRow): MailRecord {
  const { status, attempts, last_error: lastError, created_at: createdAt, sent_at: sentAt } = row
  return { ...toMail(row), status, attempts, lastError, createdAt, sentAt }
}
