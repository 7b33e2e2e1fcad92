import { validate } from 'uuid'
import { startJobs, type Jobs, type Task } from '../platform/jobs.ts'
import type { Log } from '../platform/log.ts'
import type { Knex } from '../platform/postgres.ts'
import { createDelivery, type Links } from './delivery.ts'
import type { MailFacts, MailKind } from './letters.ts'
import { createMailsTable, mailStatuses, sendTask, type Mail, type MailRecord, type MailStatus } from './mails-table.ts'
import { createSmtp, greetSmtp, type Sender } from './smtp.ts'

export { mailKinds, type MailFacts, type MailKind } from './letters.ts'
export type { Links } from './delivery.ts'
export { mailStatuses, type Mail, type MailRecord, type MailStatus, type Sender }

/** Work to be done once an hour, by one process of all, and at the start if nobody has done it. */
export interface Chore {
  name: string
  /** Says what it has deleted how many of. It throws when it could not be done, and is then tried again. */
  run: () => Promise<Record<string, number>>
}

export type Mails = ReturnType<typeof createMail>

/** The most mails one process sends at the same time, and so the most connections it has to the mail server. */
const connectionsMax = 3

/** At seventeen minutes past every hour, when nobody else's jobs begin. */
const hourly = '17 * * * *'

/**
 * The mails: queued in the transaction of what they are about, and sent from there by a worker, outside any request.
 *
 * @param smtp null: no mail is sent, and all stay queued
 * @param links what makes the link of a mail at the moment it is sent, so that no token needs to be stored before
 * @param chores what else is to be done once an hour
 */
export function createMail({
  knex,
  databaseUrl,
  databaseTimeoutMs,
  smtp,
  from,
  links,
  chores: others,
  log,
}: {
  knex: Knex
  databaseUrl: string
  databaseTimeoutMs: number
  smtp: { url: string } | null
  from: Sender
  links: Links
  chores: Chore[]
  log: Log
}) {
  const mails = createMailsTable(knex)
  const senderDomain = from.address.slice(from.address.lastIndexOf('@') + 1)
  const delivery = smtp
    ? createDelivery({ mails, send: createSmtp({ url: smtp.url, from }), product: from.name, links, log })
    : null
  let jobs: Jobs | undefined

  const chores: Chore[] = [{ name: 'tidy-mails', run: async () => ({ mails: await mails.tidy() }) }, ...others]

  const hourlyTasks: Record<string, Task> = Object.fromEntries(
    chores.map(({ name, run }) => [
      name,
      async () => {
        try {
          await run()
        } catch (error) {
          log('chore.failed', { reason: name, error: (error as Error).name })
          throw error
        }
      },
    ]),
  )

  return {
    /**
     * Queues a mail. It goes out when the transaction commits, and never when it does not.
     *
     * @returns the id of the mail
     * @throws AppError `unavailable` when PostgreSQL does not answer
     */
    queue: (trx: Knex, mail: { kind: MailKind; userId: string; address: string; facts: MailFacts }): Promise<string> =>
      mails.insert(trx, mail, senderDomain),

    /** Lists mails for operators, newest first; `cursor` is the `nextCursor` of the page before. */
    list: mails.list,

    /** What waits in the queue of all processes, for those who watch it. */
    queueState: mails.state,

    /** Queues a failed mail once more. */
    retry: async (id: string): Promise<'requeued' | 'not-failed' | 'not-found'> =>
      validate(id) ? mails.requeue(id) : 'not-found',

    /** What is done once an hour. */
    chores,

    /** Starts sending, and the hourly chores; the migrations must have run. */
    start(): void {
      jobs ??= startJobs({
        url: databaseUrl,
        timeoutMs: databaseTimeoutMs,
        concurrency: connectionsMax,
        tasks: { ...hourlyTasks, ...(delivery && { [sendTask]: delivery.task }) },
        schedule: Object.keys(hourlyTasks).map((task) => ({ task, match: hourly })),
        log,
      })
    },

    /** Stops sending within seconds. A mail that was being sent is sent again, by another process or after a start. */
    async stop(): Promise<void> {
      await jobs?.stop()
    },

    /** Greets the mail server: null when that went well, `off` when there is none, else why not. */
    greet: async (): Promise<string | null> => (smtp ? greetSmtp(smtp.url) : 'off'),

    /** `off`: there is no mail server to send to. `degraded`: it could not be reached the last time. Asks nobody. */
    state: (): 'ok' | 'degraded' | 'off' => (delivery ? (delivery.interrupted() ? 'degraded' : 'ok') : 'off'),
  }
}
