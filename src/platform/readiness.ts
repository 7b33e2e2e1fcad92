import type { Log } from './log.ts'
import { fromPostgres, type Knex } from './postgres.ts'
import { fromRedis, type Redis } from './redis.ts'

export interface Checks {
  /** `evicts`: it answers, but when it is full it would throw sessions away instead of refusing writes. */
  redis: 'ok' | 'evicts' | 'unavailable'
  /** A server that takes no writes counts as unavailable, here and above. */
  postgres: 'ok' | 'unavailable'
  migrations: 'ok' | 'pending'
  /** Never a reason not to be ready: mails wait in the queue. */
  mail: 'ok' | 'degraded' | 'off'
}

export type Readiness = () => Promise<Checks>

const keptMs = 1000

/** Never written: a SET that may only replace a value finds none. But Redis refuses it when it takes no writes. */
const probeKey = 'ready'

/**
 * Asks whether the stores are there and take writes, without which nobody can log in or out; an answer is kept for a
 * second, so that whoever asks often costs them nothing.
 */
export function createReadiness({
  redis,
  keyPrefix,
  knex,
  migrated,
  mail,
  log,
}: {
  redis: Redis
  keyPrefix: string
  knex: Knex
  migrated: () => boolean
  mail: () => Checks['mail']
  log: Log
}): Readiness {
  let kept: { at: number; checks: Promise<Checks> } | undefined
  let warned = false

  async function askRedis(): Promise<Checks['redis']> {
    try {
      const [memory] = await fromRedis(
        Promise.all([redis.info('memory'), redis.set(keyPrefix + probeKey, '', 'PX', keptMs, 'XX')]),
      )
      const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1]
      if (policy === undefined || policy === 'noeviction') return 'ok'
      if (!warned) log('redis.evicts', { reason: policy })
      warned = true
      return 'evicts'
    } catch {
      return 'unavailable'
    }
  }

  async function askPostgres(): Promise<Pick<Checks, 'postgres' | 'migrations'>> {
    try {
      const { rows } = await fromPostgres(
        knex.raw(`
          select current_setting('transaction_read_only') = 'off' as writable,
            to_regclass('knex_migrations') is not null as schema_exists`),
      )
      const { writable, schema_exists } = rows[0] as { writable: boolean; schema_exists: boolean }
      return {
        postgres: writable ? 'ok' : 'unavailable',
        migrations: migrated() && schema_exists ? 'ok' : 'pending',
      }
    } catch {
      return { postgres: 'unavailable', migrations: migrated() ? 'ok' : 'pending' }
    }
  }

  async function ask(): Promise<Checks> {
    const [redisSays, postgresSays] = await Promise.all([askRedis(), askPostgres()])
    return { redis: redisSays, ...postgresSays, mail: mail() }
  }

  return () => {
    const now = performance.now()
    if (!kept || now - kept.at >= keptMs) kept = { at: now, checks: ask() }
    return kept.checks
  }
}
