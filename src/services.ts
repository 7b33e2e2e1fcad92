import { migrationSource } from '../migrations/index.ts'
import packageJson from '../package.json' with { type: 'json' }
import { createAccounts, createPasswords, type Accounts } from './accounts/index.ts'
import { createAudit, type Actor } from './audit/index.ts'
import { createClients } from './clients/index.ts'
import type { Config } from './config.ts'
import { AppError } from './errors.ts'
import { createMail, type Links, type Mail } from './mail/index.ts'
import type { Metrics } from './metrics/index.ts'
import { compileTrust } from './platform/address.ts'
import { createBulletin } from './platform/bulletin.ts'
import { systemClock, type Clock } from './platform/clock.ts'
import { createContinuity } from './platform/continuity.ts'
import type { Log } from './platform/log.ts'
import { migrate } from './platform/migrate.ts'
import { examinePostgres, examineRedis } from './platform/examine.ts'
import { openPostgres } from './platform/postgres.ts'
import { createReadiness } from './platform/readiness.ts'
import { connected, openRedis } from './platform/redis.ts'
import { createSessions, type Lives } from './sessions/index.ts'
import { createSettings, type Lapsed, type Settings } from './settings/index.ts'
import { createThrottle, type Rule, type RuleName } from './throttle/index.ts'

export const { version } = packageJson

/** So far may the clocks of two instances be apart, and with them what they say of when something has ended. */
const clocksDifferMaxMs = 600_000

export type Services = ReturnType<typeof createServices>

/** Everything the service is made of, connected to its stores; whoever calls it closes it. */
export function createServices(
  config: Config,
  { log, clock = systemClock, metrics }: { log: Log; clock?: Clock; metrics?: Metrics | undefined },
) {
  const redis = openRedis({
    url: config.redisUrl,
    timeoutMs: config.redisTimeoutMs,
    onCommand: metrics?.redisAnswered,
    log,
  })
  const knex = openPostgres({
    url: config.databaseUrl,
    poolMax: config.databasePoolMax,
    timeoutMs: config.databaseTimeoutMs,
    onQuery: metrics?.postgresAnswered,
  })
  const bulletin = createBulletin({ url: config.databaseUrl, timeoutMs: config.databaseTimeoutMs, log })
  const audit = createAudit({
    knex,
    clock,
    retentionMs: () => settings.current().audit_retention_days * 86_400_000,
    log,
  })
  const settings = createSettings<Actor>({
    knex,
    startValues: config.settings,
    clock,
    log,
    record: (trx, { name, from, to }, actor) =>
      audit.record(trx, { event: 'setting.changed', actor, detail: { name, from, to } }),
  })
  bulletin.follow('settings', settings.reread)
  const clients = createClients({ knex, audit, clock })
  bulletin.follow('clients', clients.reread)
  let migrated = false
  /** What the Redis of now was told, and which epochs were seen since: so that telling it what came last costs little. */
  const [told, seen] = [new Set<string>(), new Set<string>()]
  const continuity = createContinuity({
    redis,
    async restore(concerns) {
      if (!migrated) throw new AppError('unavailable')
      told.clear()
      seen.clear()
      return accounts.replay({
        withinMs: settings.current().access_token_ttl_seconds * 1000 + clocksDifferMaxMs,
        told,
        concerns: (userId) => concerns(sessions.keyOf(userId)),
        seen: null,
      })
    },
    followUp: (concerns) =>
      accounts.replay({
        withinMs: clocksDifferMaxMs,
        told,
        concerns: (userId) => concerns(sessions.keyOf(userId)),
        seen,
      }),
    timeoutMs: config.redisTimeoutMs,
    log,
  })
  const sessions = createSessions({
    redis,
    continuity,
    prefix: config.keyPrefix,
    clock,
    lives: () => livesOf(settings.current(), settings.lapsed()),
    log,
  })
  const throttle = createThrottle({
    redis,
    prefix: config.keyPrefix,
    async onReached(rule, subject) {
      const userId = 'userId' in subject ? subject.userId : null
      const address = 'address' in subject ? subject.address : null
      log('limit.reached', { reason: rule, ...(userId && { user_id: userId }) })
      const actor = { kind: 'stranger', id: null, address, userAgent: null } as const
      await audit.note({ event: 'limit.reached', actor, userId, detail: { reason: rule } })
    },
    rules: () => rulesOf(settings.current()),
  })
  const mail = createMail({
    knex,
    databaseUrl: config.databaseUrl,
    databaseTimeoutMs: config.databaseTimeoutMs,
    smtp: config.smtp,
    from: config.mailFrom,
    links: linksOf(config.frontendUrl, settings.current, () => accounts),
    chores: [
      {
        name: 'prune-accounts',
        run: () => accounts.prune(new Date(clock.now() - sessionLifeMs(config.settings, settings.current()))),
      },
      { name: 'prune-audit', run: async () => ({ 'audit events': await audit.prune() }) },
    ],
    log,
  })
  const passwords = createPasswords(config.hashCost, config.hashing, {
    onAdmitted: metrics?.hashWaited,
    onCrowded: () => log('hashing.crowded'),
  })
  const accounts: Accounts = createAccounts({
    knex,
    mails: mail,
    audit,
    requireVerifiedEmail: config.requireVerifiedEmail,
    sessions,
    throttle,
    passwords,
    clock,
    log,
    registration: config.registration,
    passwordMinLength: () => settings.current().password_min_length,
    sendsSignInNotices: () => settings.current().sign_in_notices,
  })
  const readiness = createReadiness({
    redis,
    continuity,
    keyPrefix: config.keyPrefix,
    knex,
    migrated: () => migrated,
    mail: mail.state,
    log,
  })
  metrics?.watch({
    hashing: passwords.load,
    openSessions: sessions.estimateOpen,
    mailQueue: mail.queueState,
    readiness,
  })
  return {
    accounts,
    sessions,
    mail,
    audit,
    throttle,
    clients,
    settings,
    bulletin,
    trustsProxy: compileTrust(config.trustedProxies),
    clock,
    version,
    publicUrl: config.publicUrl,
    hasOwnPages: config.frontendUrl === config.publicUrl,
    readiness,
    /** What is done once an hour. */
    chores: mail.chores,
    schema: {
      /** Brings the schema up to date, and returns how many migrations ran; waits for whoever is at it already. */
      migrate: (signal?: AbortSignal) => migrate(config.databaseUrl, migrationSource, { ...(signal && { signal }) }),
    },
    /** Waits until Redis is there, or was found to be away. */
    connected: () => connected(redis, config.redisTimeoutMs),
    /** What each part says of itself, for operators. */
    examine: {
      redis: () => examineRedis(redis, { waitMs: config.redisTimeoutMs }),
      postgres: () => examinePostgres(knex, migrationSource),
      mail: mail.greet,
      /** How long one password takes to hash, in milliseconds. */
      async hash(): Promise<number> {
        const startedAt = performance.now()
        await passwords.hash('a password to measure with')
        return performance.now() - startedAt
      },
    },
    markMigrated: () => {
      migrated = true
      continuity.look()
    },
    async close(): Promise<void> {
      continuity.stop()
      await Promise.all([sessions.settle(), clients.settle(), mail.stop(), bulletin.stop()])
      redis.disconnect()
      await knex.destroy()
    },
  }
}

/** What makes the links of mails: the tokens are minted by the accounts, at the moment a mail is sent. */
function linksOf(frontendUrl: string, settings: () => Settings, accounts: () => Accounts): Links {
  const linkTo =
    (
      page: 'reset-password' | 'verify-email',
      mint: 'mintResetToken' | 'mintVerificationToken',
      life: 'reset_token_ttl_seconds' | 'verification_token_ttl_seconds',
    ) =>
    async ({ id, userId, address, facts }: Mail) => {
      const sent = { id, userId, address, queuedAt: new Date(facts.at ?? 0) }
      const token = await accounts()[mint](sent, settings()[life] * 1000)
      return token === null ? null : { url: `${frontendUrl}/${page}?token=${token}` }
    }
  const toReset = linkTo('reset-password', 'mintResetToken', 'reset_token_ttl_seconds')
  const toSet = linkTo('reset-password', 'mintResetToken', 'verification_token_ttl_seconds')
  const toVerify = linkTo('verify-email', 'mintVerificationToken', 'verification_token_ttl_seconds')
  return {
    'reset-password': toReset,
    'set-password': toSet,
    'email-taken': toReset,
    'verify-email': toVerify,
    'confirm-new-email': toVerify,
  }
}

/**
 * The longest that anything of a session may be shown: an ending older than that needs no journal.
 *
 * A life that was shortened may go back to the start value, and those that have not lapsed by then have that life again.
 */
function sessionLifeMs(...settings: [start: Settings, current: Settings]): number {
  const longestSeconds = (name: 'session_absolute_ttl_seconds' | 'refresh_reuse_window_seconds') =>
    Math.max(...settings.map((values) => values[name]))
  return (longestSeconds('session_absolute_ttl_seconds') + longestSeconds('refresh_reuse_window_seconds')) * 1000
}

function livesOf(settings: Settings, lapsed: Lapsed): Lives {
  return {
    accessMs: settings.access_token_ttl_seconds * 1000,
    idleMs: settings.session_idle_ttl_seconds * 1000,
    absoluteMs: settings.session_absolute_ttl_seconds * 1000,
    graceMs: settings.refresh_grace_seconds * 1000,
    reuseWindowMs: settings.refresh_reuse_window_seconds * 1000,
    perUserMax: settings.sessions_per_user_max,
    accessLapsedTo: lapsed.access_token_ttl_seconds,
    idleLapsedTo: lapsed.session_idle_ttl_seconds,
    absoluteLapsedTo: lapsed.session_absolute_ttl_seconds,
    graceLapsedTo: lapsed.refresh_grace_seconds,
  }
}

function rulesOf(settings: Settings): Record<RuleName, Rule> {
  return {
    'wrong-passwords': {
      points: settings.wrong_passwords_max,
      windowSeconds: settings.wrong_passwords_window_seconds,
    },
    logins: {
      points: settings.logins_per_address_max,
      windowSeconds: settings.logins_per_address_window_seconds,
    },
    registrations: {
      points: settings.registrations_per_address_max,
      windowSeconds: settings.registrations_per_address_window_seconds,
    },
    'wrong-tokens': {
      points: settings.wrong_tokens_per_address_max,
      windowSeconds: settings.wrong_tokens_per_address_window_seconds,
    },
    'mail-requests': {
      points: settings.mail_requests_per_address_max,
      windowSeconds: settings.mail_requests_per_address_window_seconds,
    },
    mails: { points: settings.mails_per_person_max, windowSeconds: settings.mails_per_person_window_seconds },
  }
}
