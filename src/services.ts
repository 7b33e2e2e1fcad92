import packageJson from '../package.json' with { type: 'json' }
import { createAccounts, createPasswords, type Accounts } from './accounts/index.ts'
import { createAudit } from './audit/index.ts'
import { createClients } from './clients/index.ts'
import type { Config } from './config.ts'
import { createMail, type Links, type Mail } from './mail/index.ts'
import { compileTrust } from './platform/address.ts'
import { createBulletin } from './platform/bulletin.ts'
import { systemClock, type Clock } from './platform/clock.ts'
import type { Log } from './platform/log.ts'
import { openPostgres } from './platform/postgres.ts'
import { createReadiness } from './platform/readiness.ts'
import { openRedis } from './platform/redis.ts'
import { createSessions } from './sessions/index.ts'
import { createThrottle } from './throttle/index.ts'

const auditRetentionMs = 365 * 86_400_000

export type Services = ReturnType<typeof createServices>

/** Everything the service is made of, connected to its stores; whoever calls it closes it. */
export function createServices(config: Config, { log, clock = systemClock }: { log: Log; clock?: Clock }) {
  const redis = openRedis({ url: config.redisUrl, timeoutMs: config.redisTimeoutMs, log })
  const knex = openPostgres({
    url: config.databaseUrl,
    poolMax: config.databasePoolMax,
    timeoutMs: config.databaseTimeoutMs,
  })
  const bulletin = createBulletin({ url: config.databaseUrl, timeoutMs: config.databaseTimeoutMs, log })
  const audit = createAudit({ knex, clock, retentionMs: () => auditRetentionMs, log })
  const clients = createClients({ knex, audit, clock })
  bulletin.follow('clients', clients.reread)
  const { settings } = config
  const sessions = createSessions({
    redis,
    prefix: config.keyPrefix,
    clock,
    lives: () => ({
      accessMs: settings.access_token_ttl_seconds * 1000,
      idleMs: settings.session_idle_ttl_seconds * 1000,
      absoluteMs: settings.session_absolute_ttl_seconds * 1000,
      graceMs: settings.refresh_grace_seconds * 1000,
      reuseWindowMs: settings.refresh_reuse_window_seconds * 1000,
      perUserMax: settings.sessions_per_user_max,
    }),
    log,
  })
  const throttle = createThrottle({
    redis,
    prefix: config.keyPrefix,
    log,
    rules: () => ({
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
      mails: { points: settings.mails_per_person_max, windowSeconds: settings.mails_per_person_window_seconds },
    }),
  })
  const mail = createMail({
    knex,
    databaseUrl: config.databaseUrl,
    databaseTimeoutMs: config.databaseTimeoutMs,
    smtp: config.smtp,
    from: config.mailFrom,
    links: linksOf(config, () => accounts),
    chores: [{ name: 'prune-accounts', run: () => accounts.prune(new Date(clock.now() - sessionLifeMs(config))) }],
    log,
  })
  const accounts: Accounts = createAccounts({
    knex,
    mails: mail,
    requireVerifiedEmail: config.requireVerifiedEmail,
    sessions,
    throttle,
    passwords: createPasswords(config.hashCost, config.hashing),
    clock,
    log,
    registration: config.registration,
    passwordMinLength: () => settings.password_min_length,
  })
  let migrated = false
  return {
    accounts,
    sessions,
    mail,
    throttle,
    clients,
    bulletin,
    trustsProxy: compileTrust(config.trustedProxies),
    clock,
    version: packageJson.version,
    publicUrl: config.publicUrl,
    readiness: createReadiness({
      redis,
      keyPrefix: config.keyPrefix,
      knex,
      migrated: () => migrated,
      mail: mail.state,
      log,
    }),
    markMigrated: () => {
      migrated = true
    },
    async close(): Promise<void> {
      await Promise.all([sessions.settle(), clients.settle(), mail.stop(), bulletin.stop()])
      redis.disconnect()
      await knex.destroy()
    },
  }
}

/** What makes the links of mails: the tokens are minted by the accounts, at the moment a mail is sent. */
function linksOf({ frontendUrl, settings }: Config, accounts: () => Accounts): Links {
  const link = (page: string, token: string | null) => token && { url: `${frontendUrl}/${page}?token=${token}` }
  const sentMail = ({ id, userId, address, facts }: Mail) => ({
    id,
    userId,
    address,
    queuedAt: new Date(facts.at ?? 0),
  })
  const toReset = async (mail: Mail) =>
    link('reset-password', await accounts().mintResetToken(sentMail(mail), settings.reset_token_ttl_seconds * 1000)) ||
    null
  const toVerify = async (mail: Mail) =>
    link(
      'verify-email',
      await accounts().mintVerificationToken(sentMail(mail), settings.verification_token_ttl_seconds * 1000),
    ) || null
  return {
    'reset-password': toReset,
    'email-taken': toReset,
    'verify-email': toVerify,
    'confirm-new-email': toVerify,
  }
}

/** The longest that anything of a session may be shown: an ending older than that needs no journal. */
function sessionLifeMs({ settings }: Config): number {
  return (settings.session_absolute_ttl_seconds + settings.refresh_reuse_window_seconds) * 1000
}
