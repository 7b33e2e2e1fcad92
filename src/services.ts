import packageJson from '../package.json' with { type: 'json' }
import { createAccounts, createPasswords } from './accounts/index.ts'
import type { Config } from './config.ts'
import { createMail } from './mail/index.ts'
import { systemClock, type Clock } from './platform/clock.ts'
import type { Log } from './platform/log.ts'
import { openPostgres } from './platform/postgres.ts'
import { createReadiness } from './platform/readiness.ts'
import { openRedis } from './platform/redis.ts'
import { createSessions } from './sessions/index.ts'

export type Services = ReturnType<typeof createServices>

/** Everything the service is made of, connected to its stores; whoever calls it closes it. */
export function createServices(config: Config, { log, clock = systemClock }: { log: Log; clock?: Clock }) {
  const redis = openRedis({ url: config.redisUrl, timeoutMs: config.redisTimeoutMs, log })
  const knex = openPostgres({
    url: config.databaseUrl,
    poolMax: config.databasePoolMax,
    timeoutMs: config.databaseTimeoutMs,
  })
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
  })
  const accounts = createAccounts({
    knex,
    sessions,
    passwords: createPasswords(config.hashCost),
    clock,
    log,
    registration: config.registration,
    passwordMinLength: () => settings.password_min_length,
  })
  const mail = createMail({
    knex,
    databaseUrl: config.databaseUrl,
    databaseTimeoutMs: config.databaseTimeoutMs,
    smtp: config.smtp,
    from: config.mailFrom,
    links: {},
    chores: [],
    log,
  })
  let migrated = false
  return {
    accounts,
    sessions,
    mail,
    clock,
    version: packageJson.version,
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
      await Promise.all([sessions.settle(), mail.stop()])
      redis.disconnect()
      await knex.destroy()
    },
  }
}
