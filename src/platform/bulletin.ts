import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Log } from './log.ts'
import { fromPostgres, type Knex } from './postgres.ts'

/** What every process keeps a copy of, and reads again when somebody changes it. */
export type Topic = 'settings' | 'clients'

export type Bulletin = ReturnType<typeof createBulletin>

const channelOf = (topic: Topic) => `latchkey_${topic}`

/** How often everything is read again although nobody has announced a change; and the connection is tried. */
const rereadMs = 5000
const retryMs = 500

/**
 * Keeps the copies that a process has of rows in PostgreSQL up to date, within milliseconds of a change by anybody.
 *
 * It listens on a connection of its own (LISTEN/NOTIFY). Whatever was announced while that was away is made up for:
 * everything is read again whenever the connection has been made, and every five seconds in any case.
 */
export function createBulletin({ url, timeoutMs, log }: { url: string; timeoutMs: number; log: Log }) {
  const readers = new Map<string, () => Promise<void>>()
  const stopping = new AbortController()
  const { signal } = stopping
  let working: Promise<void> | undefined
  let told: string | undefined

  /** Listens until the connection breaks or a reading fails, and throws what has happened. */
  async function listen(upToDate: () => void): Promise<never> {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'latchkey bulletin',
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
      keepAlive: true,
    })
    const due = new Set<string>()
    let failure: { reason: unknown } | undefined
    let giveUp: (reason: unknown) => void = () => {}
    let wake = () => {}
    const fail = (reason: unknown) => {
      failure ??= { reason }
      giveUp(reason)
    }
    const stop = () => fail(new Error('stopping'))
    /** Waits while the connection holds. A race with one promise for all turns would keep something of each for life. */
    const unlessBroken = <T>(answer: Promise<T>) =>
      new Promise<T>((resolve, reject) => {
        giveUp = reject
        if (failure) reject(failure.reason)
        answer.then(resolve, reject)
      })
    client.once('error', fail)
    client.once('end', () => fail(new Error('the connection ended')))
    signal.addEventListener('abort', stop)
    client.on('notification', ({ channel }) => {
      due.add(channel)
      wake()
    })
    try {
      await unlessBroken(client.connect())
      for (const channel of readers.keys()) await client.query(`listen ${client.escapeIdentifier(channel)}`)
      for (;;) {
        for (const channel of readers.keys()) due.add(channel)
        do {
          const channels = [...due]
          due.clear()
          await unlessBroken(Promise.all(channels.map((channel) => readers.get(channel)!())))
          if (due.size > 0) continue
          told = undefined
          upToDate()
          let timer: NodeJS.Timeout | undefined
          const announced = new Promise<void>((resolve) => {
            wake = resolve
            timer = setTimeout(resolve, rereadMs).unref()
          })
          await unlessBroken(announced).finally(() => clearTimeout(timer))
        } while (due.size > 0)
        await client.query('select 1')
      }
    } finally {
      signal.removeEventListener('abort', stop)
      void client.end().catch(() => undefined)
    }
  }

  async function work(upToDate: () => void): Promise<void> {
    while (!signal.aborted) {
      const reason = await listen(upToDate).catch((error: unknown) => {
        const { code, name } = error as { code?: string; name: string }
        return code ?? name
      })
      if (signal.aborted) return
      if (reason !== told) log('bulletin.lost', { error: reason })
      told = reason
      await delay(retryMs, undefined, { signal }).catch(() => undefined)
    }
  }

  return {
    /** Has a copy read again whenever its topic changes; to be called before {@link start}. */
    follow(topic: Topic, reread: () => Promise<void>): void {
      readers.set(channelOf(topic), reread)
    },

    /** Begins to listen, and returns when every copy was read once, or when it is stopped. */
    async start(): Promise<void> {
      await new Promise<void>((upToDate) => {
        working ??= work(upToDate).finally(upToDate)
      })
    },

    async stop(): Promise<void> {
      stopping.abort()
      await working
    },
  }
}

/**
 * Tells every process that a topic has changed; they learn of it when the transaction commits.
 *
 * @throws AppError `unavailable` when PostgreSQL does not answer
 */
export async function announce(trx: Knex, topic: Topic): Promise<void> {
  await fromPostgres(trx.raw('select pg_notify(?, ?)', [channelOf(topic), '']))
}
