import { pino, type DestinationStream } from 'pino'

/** Every event the service logs: its level, and what it tells an operator. The README's table is compared with this. */
export const logEvents = {
  'service.started': { level: 'info', meaning: 'The API listens.' },
  'ops.started': { level: 'info', meaning: 'The internal listener, with the metrics, listens.' },
  'service.stopping': { level: 'info', meaning: 'A signal came; requests in flight are finished.' },
  'service.stopped': { level: 'info', meaning: 'All connections are closed.' },
  'worker.died': {
    level: 'error',
    meaning:
      'One of the processes behind the port ended; `worker` was its pid, `reason` tells how. Another takes its place after `duration_ms`.',
  },
  'migrations.done': { level: 'info', meaning: 'The database schema is up to date; `count` migrations ran.' },
  'migrations.waiting': { level: 'warn', meaning: 'Migrating did not work yet; it is tried again.' },
  'redis.ready': { level: 'info', meaning: 'Redis answers; `address` is that of one server of a cluster.' },
  'redis.lost': {
    level: 'error',
    meaning:
      'The connection to Redis broke or could not be made; `address` is that of one server of a cluster. `error` is `REPLACED` where the sentinels name another primary.',
  },
  'redis.replaying': {
    level: 'warn',
    meaning:
      'Redis may have forgotten endings, and they could not be told to it again yet; until that is done no token is good.',
  },
  'redis.replayed': {
    level: 'info',
    meaning:
      'Another primary than before, or one that was started again, was told what has ended of late; `count` sessions were open there still.',
  },
  'redis.evicts': {
    level: 'warn',
    meaning: 'Redis has an eviction policy other than `noeviction`: a full Redis would sign people out.',
  },
  'store.failed': { level: 'error', meaning: 'A store answered with an error; the caller was told 503.' },
  'hashing.crowded': {
    level: 'warn',
    meaning:
      'More passwords came than can be hashed in time, and the others were turned away; beside `store.failed` it is a store that holds them up. Told once a minute by a process at most.',
  },
  'request.done': {
    level: 'debug',
    meaning: 'A request was answered; `code` and `reason` are those of the problem it was told.',
  },
  'request.failed': { level: 'error', meaning: 'A defect: a request ended in 500.' },
  'account.registered': { level: 'info', meaning: 'Somebody registered.' },
  'registration.refused': {
    level: 'info',
    meaning: 'An address that has an account was registered again; its owner gets a mail.',
  },
  'account.created': { level: 'warn', meaning: 'An admin or operator created an account.' },
  'account.disabled': { level: 'warn', meaning: 'An account was disabled; all its sessions ended.' },
  'account.enabled': { level: 'warn', meaning: 'An account was enabled again.' },
  'account.role_changed': { level: 'warn', meaning: 'Somebody was given another role.' },
  'account.deleted': { level: 'info', meaning: 'An account was deleted, by its owner or by an admin.' },
  'password.reset_requested': {
    level: 'info',
    meaning: 'A link to reset a password was asked for; `user_id` where there is such an account.',
  },
  'password.changed': { level: 'info', meaning: 'Somebody changed their password; their other sessions ended.' },
  'password.reset': { level: 'info', meaning: 'Somebody reset their password; all their sessions ended.' },
  'password.rehashed': {
    level: 'info',
    meaning: 'A login replaced a hash that was cheaper or of another kind by one of today’s.',
  },
  'password.rehash_failed': {
    level: 'warn',
    meaning:
      'A login succeeded, and its outdated hash could not be replaced, `code` tells why; the next one tries again.',
  },
  'email.verified': { level: 'info', meaning: 'Somebody confirmed their e-mail address.' },
  'login.succeeded': { level: 'info', meaning: 'A session was opened with a password.' },
  'login.failed': { level: 'info', meaning: 'A login was refused; `reason` tells why, the caller was not told.' },
  'limit.reached': {
    level: 'warn',
    meaning: 'A limit is used up until its window ends; `reason` names the rule, `user_id` the account if it is one.',
  },
  'session.refreshed': { level: 'debug', meaning: 'A session got a new token pair.' },
  'session.refresh_replayed': {
    level: 'info',
    meaning: 'A spent refresh token came again within the grace window and got the same pair.',
  },
  'session.refresh_reused': {
    level: 'warn',
    meaning: 'A spent refresh token was used again: somebody else may hold it. The session was ended.',
  },
  'session.ended': { level: 'info', meaning: 'One session ended; `reason` tells why.' },
  'revocations.lost': {
    level: 'error',
    meaning: 'Redis did not take the news of `count` ended sessions into the stream `revocations`; they have ended.',
  },
  'sessions.ended': { level: 'info', meaning: 'Sessions of one person ended all at once; `count` and `reason`.' },
  'mail.sent': { level: 'info', meaning: 'The mail server took a mail.' },
  'mail.retried': {
    level: 'warn',
    meaning:
      'A mail could not be sent; it is tried again, for 24 hours. `reason` is an SMTP code or one of the connection.',
  },
  'mail.failed': { level: 'error', meaning: 'A mail was given up; `reason` tells why. `mail retry` queues it again.' },
  'mail.dropped': { level: 'info', meaning: 'A mail was not sent, because what it was about is over.' },
  'jobs.lost': {
    level: 'error',
    meaning: 'The worker for mails and chores lost PostgreSQL; it tries again by itself.',
  },
  'bulletin.lost': {
    level: 'error',
    meaning:
      'The connection that tells of changed settings and service clients broke; it is made again, and all is read anew.',
  },
  'settings.ignored': {
    level: 'warn',
    meaning: 'What is stored for a setting, named in `reason`, is not used: this version does not know or allow it.',
  },
  'audit.lost': {
    level: 'error',
    meaning: 'An event could not be written to the audit table: `reason` names it, `user_id` whose it was.',
  },
  'chore.failed': { level: 'error', meaning: 'An hourly chore, named in `reason`, failed; it is tried again.' },
} as const satisfies Record<string, { level: 'debug' | 'info' | 'warn' | 'error'; meaning: string }>

export type LogEvent = keyof typeof logEvents

/** All that a log line may carry: ids, counts and codes. No token, digest, e-mail address, body or parser message. */
export interface LogFields {
  request_id?: string
  user_id?: string
  session_id?: string
  mail_id?: string
  kind?: string
  reason?: string
  code?: string
  method?: string
  route?: string
  status?: number
  duration_ms?: number
  count?: number
  address?: string
  worker?: number
  error?: string
  stack?: string
}

export type Log = (event: LogEvent, fields?: LogFields) => void

export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug'

/** One JSON line an event, with the pid of its process, on standard output unless another stream is given. */
export function createLog(level: LogLevel, destination?: DestinationStream): Log {
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const logger = destination ? pino(options, destination) : pino(options)
  return (event, fields) => {
    const { level: loudness } = logEvents[event]
    if (logger.isLevelEnabled(loudness)) logger[loudness]({ event, ...fields })
  }
}
