import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import { fromPostgres, type Knex } from './postgres.ts'
import { fromRedis, type Redis } from './redis.ts'

export interface Checks {
  /** `evicts`: it answers, but when it is full it would throw sessions away instead of refusing writes. */
  redis: 'ok' | 'evicts' | 'unavailable'
  postgres: 'ok' | 'unavailable'
  migrations: 'ok' | 'pending'
}

export type Readiness = () => Promise<Checks>

const keptMs = 1000

/**
 * Asks whether the stores are there; an answer is kept for a second, so that whoever asks often costs them nothing.
 */
export function createReadiness({
  redis,
  knex,
  migrated,
  clock,
  log,
}: {
  redis: Redis
  knex: Knex
  migrated: () => boolean
  clock: Clock
  log: Log
}): Readiness {
  let kept: { at: number; checks: Promise<Checks> } | undefined
  let warned = false

  async function askRedis(): Promise<Checks['redis']> {
    try {
      const memory = await fromRedis(redis.info('memory'))
      const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1]
      if (policy === undefined || policy === 'noeviction') return 'ok'
      if (!warned) log('redis.evicts', { reason: policy })
      warned = true
      return 'evicts'
    } catch {
      return 'unavailable'
    }
  }

  async function askPostgres(): Promise<Checks['postgres']> {
    try {
      await fromPostgres(knex.raw('select 1'))
      return 'ok'
    } catch {
      return 'unavailable'
    }
  }

  async function ask(): Promise<Checks> {
    const [redisSays, postgresSays] = await Promise.all([askRedis(), askPostgres()])
    return { redis: redisSays, postgres: postgresSays, migrations: migrated() ? 'ok' : 'pending' }
  }

  return () => {
    const now = clock.now()
    if (!kept || now - kept.at >= keptMs || now < kept.at) kept = { at: now, checks: ask() }
    return kept.checks
  }
}
