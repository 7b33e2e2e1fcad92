import type { Continuity } from './continuity.ts'
import type { Log } from './log.ts'
import { fromPostgres, type Knex } from './postgres.ts'
import { fromRedis, isCluster, primariesOf, type Cluster, type Redis } from './redis.ts'

export interface Checks {
  /**
   * `evicts`: it answers, but when it is full it would throw sessions away instead of refusing writes. `replaying`: it may
   * have forgotten endings, and is told of them; until then no token is good. `partial`: a part of a cluster has nobody, and
   * those who need something of it are told 503; to take an instance from the others would help nobody.
   */
  redis: 'ok' | 'evicts' | 'partial' | 'replaying' | 'unavailable'
  /** A server that takes no writes counts as unavailable, here and above. */
  postgres: 'ok' | 'unavailable'
  migrations: 'ok' | 'pending'
  /** Never a reason not to be ready: mails wait in the queue. */
  mail: 'ok' | 'degraded' | 'off'
}

export type Readiness = () => Promise<Checks>

/** Whether a request would come to anything. */
export function isReady(
  checks: Checks,
): checks is Checks & { redis: 'ok' | 'evicts' | 'partial'; postgres: 'ok'; migrations: 'ok' } {
  const { redis, postgres, migrations } = checks
  return (redis === 'ok' || redis === 'evicts' || redis === 'partial') && postgres === 'ok' && migrations === 'ok'
}

const readyKeptMs = 1000
/** Shorter: whoever waits for an instance to start, or to be well again, should not wait for this. */
const notReadyKeptMs = 100

/** Never written: a SET that may only replace a value finds none. But Redis refuses it when it takes no writes. */
const probeKey = 'ready'

/**
 * Asks whether the stores are there and take writes, without which nobody can log in or out; an answer is kept for a
 * second, one that it is not ready for a tenth of it, so that whoever asks often costs them nothing.
 */
export function createReadiness({
  redis,
  continuity,
  keyPrefix,
  knex,
  migrated,
  mail,
  log,
}: {
  redis: Redis
  continuity: Pick<Continuity, 'isWhole'>
  keyPrefix: string
  knex: Knex
  migrated: () => boolean
  mail: () => Checks['mail']
  log: Log
}): Readiness {
  let kept: Promise<Checks> | undefined
  let keptUntil = 0
  let warned = false

  async function askRedis(): Promise<Checks['redis']> {
    try {
      if (isCluster(redis) && (await fromRedis(isPartial(redis)))) return 'partial'
      const [memories] = await fromRedis(
        Promise.all([
          Promise.all(primariesOf(redis).map((node) => node.info('memory'))),
          redis.set(keyPrefix + probeKey, '', 'PX', readyKeptMs, 'XX'),
        ]),
      )
      if (!continuity.isWhole()) return 'replaying'
      const policies = memories.map((memory) => /^maxmemory_policy:(\S+)/m.exec(memory)?.[1])
      const policy = policies.find((name) => name !== undefined && name !== 'noeviction')
      if (policy === undefined) return 'ok'
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
    const checks = { redis: redisSays, ...postgresSays, mail: mail() }
    if (!isReady(checks)) keptUntil = Math.min(keptUntil, performance.now() + notReadyKeptMs)
    return checks
  }

  return () => {
    const now = performance.now()
    if (!kept || now >= keptUntil) {
      keptUntil = now + readyKeptMs
      kept = ask()
    }
    return kept
  }
}

/** Whether a cluster works although it has not somebody for each of its 16,384 slots. */
async function isPartial(cluster: Cluster): Promise<boolean> {
  const anyone = primariesOf(cluster).find(({ status }) => status === 'ready')
  const info = (await anyone?.cluster('INFO')) ?? ''
  return /^cluster_state:ok\b/m.test(info) && !/^cluster_slots_ok:16384\b/m.test(info)
}
