import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry, type Aggregator } from 'prom-client'
import { logEvents, type Log, type LogEvent, type LogFields } from '../platform/log.ts'
import type { Readiness } from '../platform/readiness.ts'
import { metricDefinitions, type Definition, type MetricName } from './definitions.ts'
import { kept } from './kept.ts'
import { createRequestDurations } from './request-durations.ts'
import { worstOfAll, type Figures } from './tally.ts'

export { metricDefinitions } from './definitions.ts'
export { createTally, type Figures } from './tally.ts'

/** What is asked when somebody scrapes. */
export interface Sources {
  hashing: () => { running: number; waiting: number }
  openSessions: () => Promise<{ open: number; standardError: number }>
  mailQueue: () => Promise<{ queued: number; failed: number; oldestQueuedSeconds: number }>
  readiness: Readiness
}

export type Metrics = ReturnType<typeof createMetrics>

const openSessionsKeptMs = 10_000
const mailQueueKeptMs = 5_000

const statementKinds: Readonly<Record<string, string>> = {
  first: 'select',
  pluck: 'select',
  select: 'select',
  insert: 'insert',
  update: 'update',
  del: 'delete',
  delete: 'delete',
}

/**
 * The metrics of one process, in the text format of Prometheus.
 *
 * What happens is counted from the log events, in this one place, so that a flow which tells the log tells the metrics.
 */
export function createMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  worstOfAll(registry)
  let sources: Sources | undefined

  const common = (name: MetricName) => {
    const { help, labels, together = 'sum' } = metricDefinitions[name] as Definition
    return { name, help, labelNames: Object.keys(labels), aggregator: together as Aggregator, registers: [registry] }
  }
  const combinations = (name: MetricName) =>
    Object.entries<readonly string[] | null>(metricDefinitions[name].labels).flatMap(([label, values]) =>
      (values ?? []).map((value) => ({ [label]: value })),
    )

  function counter(name: MetricName): Counter {
    const made = new Counter(common(name))
    for (const labels of combinations(name)) made.inc(labels, 0)
    return made
  }

  function histogram(name: MetricName & `${string}_seconds`): Histogram {
    const { buckets } = metricDefinitions[name] as { buckets: readonly number[] }
    const made = new Histogram({ ...common(name), buckets: [...buckets] })
    for (const labels of combinations(name)) made.zero(labels)
    return made
  }

  /** A figure that is asked for at each scrape, and left out when nobody can tell it. */
  function gauge(name: MetricName, ask: (from: Sources) => Promise<number | undefined> | number): void {
    // oxlint-disable-next-line no-new
    new Gauge({
      ...common(name),
      async collect() {
        const value = sources && (await ask(sources))
        if (value === undefined) this.remove()
        else this.set(value)
      },
    })
  }

  const logins = counter('latchkey_logins_total')
  const refreshes = counter('latchkey_refreshes_total')
  const registrations = counter('latchkey_registrations_total')
  const endings = counter('latchkey_sessions_ended_total')
  const limits = counter('latchkey_limits_reached_total')
  const mails = counter('latchkey_mails_total')
  const loudEvents = counter('latchkey_log_events_total')
  const requests = createRequestDurations(registry, {
    name: 'latchkey_http_request_duration_seconds',
    ...metricDefinitions.latchkey_http_request_duration_seconds,
  })
  const commands = histogram('latchkey_redis_command_duration_seconds')
  const queries = histogram('latchkey_postgres_query_duration_seconds')
  const hashWaits = histogram('latchkey_password_hash_wait_seconds')

  const openSessions = kept(async () => sources!.openSessions(), openSessionsKeptMs)
  const mailQueue = kept(async () => sources!.mailQueue(), mailQueueKeptMs)
  const readiness = kept(async () => sources!.readiness(), 0)
  gauge('latchkey_open_sessions', async () => (await openSessions())?.open)
  gauge('latchkey_open_sessions_standard_error', async () => (await openSessions())?.standardError)
  gauge('latchkey_password_hashes_running', ({ hashing }) => hashing().running)
  gauge('latchkey_password_hashes_waiting', ({ hashing }) => hashing().waiting)
  gauge('latchkey_mails_queued', async () => (await mailQueue())?.queued)
  gauge('latchkey_mails_failed', async () => (await mailQueue())?.failed)
  gauge('latchkey_mails_oldest_queued_seconds', async () => (await mailQueue())?.oldestQueuedSeconds)
  // oxlint-disable-next-line no-new
  new Gauge({
    ...common('latchkey_store_up'),
    async collect() {
      const checks = sources && (await readiness())
      for (const store of metricDefinitions.latchkey_store_up.labels.store)
        this.set({ store }, checks && checks[store] !== 'unavailable' ? 1 : 0)
    },
  })

  function countRequest({ method = '', route = '', status = 0, duration_ms = 0, code, reason }: LogFields): void {
    requests.observe(method, route, status, duration_ms / 1000)
    if (code === undefined) return
    const elsewhere = code === 'too-many-attempts' || code === 'unavailable'
    if (route === '/v1/auth/login' && (elsewhere || code === 'email-unverified')) logins.inc({ outcome: code })
    if (route === '/v1/auth/refresh' && (elsewhere || code === 'invalid-refresh-token'))
      refreshes.inc({ outcome: reason ?? code })
  }

  function count(event: LogEvent, fields: LogFields = {}): void {
    const { reason = 'unknown' } = fields
    switch (event) {
      case 'request.done':
        return countRequest(fields)
      case 'login.succeeded':
        return logins.inc({ outcome: 'succeeded' })
      case 'login.failed':
        return logins.inc({ outcome: reason })
      case 'session.refreshed':
        return refreshes.inc({ outcome: 'rotated' })
      case 'session.refresh_replayed':
        return refreshes.inc({ outcome: 'replayed' })
      case 'account.registered':
        return registrations.inc()
      case 'session.ended':
        return endings.inc({ reason })
      case 'sessions.ended':
        return endings.inc({ reason }, fields.count)
      case 'limit.reached':
        return limits.inc({ rule: reason })
      case 'mail.sent':
      case 'mail.retried':
      case 'mail.failed':
      case 'mail.dropped':
        return mails.inc({ outcome: event.slice('mail.'.length) })
    }
  }

  return {
    /** A log that counts what it is told, whatever the level is, and passes it on. */
    counting:
      (log: Log): Log =>
      (event, fields) => {
        count(event, fields)
        const { level } = logEvents[event]
        if (level === 'warn' || level === 'error') loudEvents.inc({ event })
        log(event, fields)
      },

    /** Notes how long a command of Redis took. */
    redisAnswered: (command: string, durationMs: number): void => {
      commands.observe({ command }, durationMs / 1000)
    },

    /** Notes how long a statement of PostgreSQL took; `method` is Knex's word for what it does. */
    postgresAnswered: (method: string | undefined, durationMs: number): void => {
      queries.observe({ kind: statementKinds[method ?? ''] ?? 'other' }, durationMs / 1000)
    },

    /** Notes how long a password has waited to be hashed. */
    hashWaited: (durationMs: number): void => {
      hashWaits.observe(durationMs / 1000)
    },

    /** Says whom to ask at a scrape; until then those metrics are left out. */
    watch(from: Sources): void {
      sources = from
    },

    contentType: registry.contentType,

    /** The text of a scrape. It takes two seconds at most, and costs the stores no more when it comes more often. */
    text: (): Promise<string> => registry.metrics(),

    /** The same as objects, for a process that makes one text of what several say; see {@link createTally}. */
    figures: (): Promise<Figures> => registry.getMetricsAsJSON(),
  }
}
