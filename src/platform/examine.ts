import { fromPostgres, type Knex } from './postgres.ts'
import { connected, fromRedis, knownPrimariesOf, type Node, type Redis } from './redis.ts'

/** What a store says of itself, and how far its clock is ahead of ours, as well as half a round trip lets one tell. */

/** Of a cluster: what holds for any of its primaries, what they have together, and the clock that is furthest off. */
export interface RedisFacts {
  version: string
  primaries: number
  /** A replica takes no writes. */
  isReplica: boolean
  /** One that evicts, if there is one. */
  evictionPolicy: string
  usedBytes: number
  /** 0: no limit. */
  maxBytes: number
  keepsAppendOnlyFile: boolean
  clockAheadMs: number
}

/**
 * Asks Redis, once the connection stands.
 *
 * @throws AppError `unavailable`
 */
export async function examineRedis(redis: Redis, { waitMs }: { waitMs: number }): Promise<RedisFacts> {
  await connected(redis, waitMs)
  const each = await Promise.all(knownPrimariesOf(redis).map(examineNode))
  const sum = (of: (facts: NodeFacts) => number) => each.reduce((total, facts) => total + of(facts), 0)
  return {
    version: each[0]!.version,
    primaries: each.length,
    isReplica: each.some(({ isReplica }) => isReplica),
    evictionPolicy: each.find(({ evictionPolicy }) => evictionPolicy !== 'noeviction')?.evictionPolicy ?? 'noeviction',
    usedBytes: sum(({ usedBytes }) => usedBytes),
    maxBytes: each.some(({ maxBytes }) => maxBytes === 0) ? 0 : sum(({ maxBytes }) => maxBytes),
    keepsAppendOnlyFile: each.every(({ keepsAppendOnlyFile }) => keepsAppendOnlyFile),
    clockAheadMs: each.map(({ clockAheadMs }) => clockAheadMs).toSorted((a, b) => Math.abs(b) - Math.abs(a))[0]!,
  }
}

type NodeFacts = Omit<RedisFacts, 'primaries'>

async function examineNode(redis: Node): Promise<NodeFacts> {
  const [info, time] = await fromRedis(Promise.all([redis.info(), timed(() => redis.time())]))
  const said = (name: string) => new RegExp(`^${name}:(\\S*)`, 'm').exec(info)?.[1]
  const [seconds, microseconds] = time.answer as unknown as [string | number, string | number]
  return {
    version: said('valkey_version') ? `Valkey ${said('valkey_version')}` : `Redis ${said('redis_version')}`,
    isReplica: said('role') !== 'master',
    evictionPolicy: said('maxmemory_policy') ?? 'unknown',
    usedBytes: Number(said('used_memory')),
    maxBytes: Number(said('maxmemory')),
    keepsAppendOnlyFile: said('aof_enabled') === '1',
    clockAheadMs: Number(seconds) * 1000 + Number(microseconds) / 1000 - time.at,
  }
}

export interface PostgresFacts {
  version: string
  isReadOnly: boolean
  /** The names of migrations that have not run. */
  pendingMigrations: string[]
  clockAheadMs: number
}

/** Asks PostgreSQL. @throws AppError `unavailable` */
export async function examinePostgres(
  knex: Knex,
  migrationSource: Knex.MigrationSource<string>,
): Promise<PostgresFacts> {
  const { answer, at } = await timed(() =>
    fromPostgres(
      knex.raw(`
        select extract(epoch from clock_timestamp()) * 1000 as now_ms,
          current_setting('server_version') as version,
          current_setting('transaction_read_only') = 'on' as is_read_only,
          to_regclass('knex_migrations') is not null as is_migrated`),
    ),
  )
  const [row] = (answer as { rows: { now_ms: string; version: string; is_read_only: boolean; is_migrated: boolean }[] })
    .rows
  const { now_ms: nowMs, version, is_read_only: isReadOnly, is_migrated: isMigrated } = row!
  const done = new Set(isMigrated ? ((await fromPostgres(knex('knex_migrations').pluck('name'))) as string[]) : [])
  const all = await migrationSource.getMigrations([])
  return {
    version: `PostgreSQL ${version.split(' ')[0]}`,
    isReadOnly,
    pendingMigrations: all.filter((name) => !done.has(name)),
    clockAheadMs: Number(nowMs) - at,
  }
}

/** An answer, and the middle of the time in which it was given. The second one counts: the first makes a connection. */
async function timed<T>(ask: () => PromiseLike<T>): Promise<{ answer: T; at: number }> {
  await ask()
  const before = Date.now()
  const answer = await ask()
  return { answer, at: (before + Date.now()) / 2 }
}
