export interface Definition {
  type: 'counter' | 'gauge' | 'histogram'
  /** The labels; those with a closed list of values are there from the start, with zero. */
  labels: Readonly<Record<string, readonly string[] | null>>
  help: string
  /** What several processes that serve as one say together; the sum unless told. `first`: each says it of all of them. */
  together?: 'first' | 'min'
  /** Upper bounds of a histogram, in seconds. */
  buckets?: readonly number[]
}

/** From what Redis takes to the time-outs; one that is hit shows in the last but one. */
const storeBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/** Every metric of ours, by its name. The README's table is compared with this. */
export const metricDefinitions = {
  latchkey_logins_total: {
    type: 'counter',
    labels: {
      outcome: [
        'succeeded',
        'wrong-password',
        'unknown-account',
        'disabled',
        'epoch-moved',
        'email-unverified',
        'too-many-attempts',
        'unavailable',
      ],
    },
    help: 'Logins by what became of them; `epoch-moved` came too late for a reset or a logout everywhere.',
  },
  latchkey_refreshes_total: {
    type: 'counter',
    labels: {
      outcome: ['rotated', 'replayed', 'reused', 'unknown', 'expired', 'ended', 'too-many-attempts', 'unavailable'],
    },
    help: 'Refreshes by what became of them; from `reused` on they were refused.',
  },
  latchkey_registrations_total: { type: 'counter', labels: {}, help: 'Accounts that were registered.' },
  latchkey_sessions_ended_total: {
    type: 'counter',
    labels: {
      reason: [
        'expired',
        'idle',
        'logged-out',
        'logged-out-everywhere',
        'revoked',
        'password-changed',
        'password-reset',
        'reused',
        'evicted',
        'disabled',
      ],
    },
    help: 'Sessions that were ended, by reason; one that lapses by itself is not among them.',
  },
  latchkey_limits_reached_total: {
    type: 'counter',
    labels: { rule: ['wrong-passwords', 'logins', 'registrations', 'wrong-tokens', 'mail-requests', 'mails'] },
    help: 'Limits that were used up, by rule: once for each window and subject.',
  },
  latchkey_open_sessions: {
    type: 'gauge',
    labels: {},
    together: 'first',
    help: 'Sessions that are open, on all instances together: an estimate.',
  },
  latchkey_open_sessions_standard_error: {
    type: 'gauge',
    labels: {},
    together: 'first',
    help: 'The standard error of `latchkey_open_sessions`; the truth is within two of them 19 times of 20.',
  },
  latchkey_password_hashes_running: { type: 'gauge', labels: {}, help: 'Passwords that are being hashed.' },
  latchkey_password_hashes_waiting: { type: 'gauge', labels: {}, help: 'Passwords that wait to be hashed.' },
  latchkey_password_hash_wait_seconds: {
    type: 'histogram',
    labels: {},
    help: 'How long passwords have waited to be hashed.',
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4],
  },
  latchkey_mails_total: {
    type: 'counter',
    labels: { outcome: ['sent', 'retried', 'failed', 'dropped'] },
    help: 'Mails by what became of an attempt; those `dropped` were not wanted any more.',
  },
  latchkey_mails_queued: {
    type: 'gauge',
    labels: {},
    together: 'first',
    help: 'Mails that are still to be sent, by any instance.',
  },
  latchkey_mails_failed: {
    type: 'gauge',
    labels: {},
    together: 'first',
    help: 'Mails that were given up and wait for an operator.',
  },
  latchkey_mails_oldest_queued_seconds: {
    type: 'gauge',
    labels: {},
    together: 'first',
    help: 'How long the oldest queued mail has waited; 0 when there is none.',
  },
  latchkey_store_up: {
    type: 'gauge',
    labels: { store: ['redis', 'postgres'] },
    together: 'min',
    help: 'Whether a store answers and takes writes (1) or not (0).',
  },
  latchkey_redis_command_duration_seconds: {
    type: 'histogram',
    labels: { command: null },
    help: 'How long Redis commands took, failed ones too; token checks are `evalsha`.',
    buckets: storeBuckets,
  },
  latchkey_postgres_query_duration_seconds: {
    type: 'histogram',
    labels: { kind: ['select', 'insert', 'update', 'delete', 'other'] },
    help: 'How long PostgreSQL statements took, failed ones too; the wait for a connection is not in it.',
    buckets: storeBuckets,
  },
  latchkey_http_request_duration_seconds: {
    type: 'histogram',
    labels: { method: null, route: null, status: null },
    help: 'How long requests took, by route pattern and class of status (`2xx`); the route of an unknown path is `none`.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  },
  latchkey_log_events_total: {
    type: 'counter',
    labels: { event: null },
    help: 'Warnings and errors by log event, counted whatever `LOG_LEVEL` is.',
  },
} as const satisfies Record<string, Definition>

export type MetricName = keyof typeof metricDefinitions
