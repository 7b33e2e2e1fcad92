import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import knexModule, { type Knex } from 'knex'
import { startStores, type Stores } from '../../dev/stores.ts'

/**
 * The real stores of this run: throw-away servers, or those that DATABASE_URL and REDIS_URL name. Either way the run keeps
 * to a database and a key prefix of its own, and removes both.
 */

let started: Stores | undefined
let admin: Knex | undefined
let redis: Redis | undefined
const run = `${process.pid}_${randomUUID().slice(0, 8)}`
const databaseName = `latchkey_test_${run}`

/** What every key of this run begins with. */
export const keyPrefix = `latchkey-test-${run}:`

export async function openStores(): Promise<void> {
  started = await startStores({ name: `test-${process.pid}`, ephemeral: true })
  admin = knexModule({ client: 'pg', connection: started.env.DATABASE_URL, pool: { min: 0, max: 1 } })
  await admin.raw('create database ??', [databaseName])
}

export async function closeStores(): Promise<void> {
  if (redis) {
    for await (const keys of redis.scanStream({ match: `${keyPrefix}*` }) as AsyncIterable<string[]>)
      if (keys.length > 0) await redis.del(keys)
    redis.disconnect()
  }
  await admin?.raw('drop database if exists ?? with (force)', [databaseName])
  await admin?.destroy()
  await started?.stop()
}

export function databaseUrl(): string {
  return withDatabase(env().DATABASE_URL, databaseName)
}

let databases = 0

/** An empty database on the server of this run, for tests that what others do would disturb. */
export async function ownDatabase(): Promise<{ url: string; operator: Knex; drop: () => Promise<void> }> {
  const operator = admin!
  const name = `${databaseName}_${++databases}`
  await operator.raw('create database ??', [name])
  return {
    url: withDatabase(env().DATABASE_URL, name),
    operator,
    drop: async () => {
      await operator.raw('drop database ?? with (force)', [name])
    },
  }
}

export function redisUrl(): string {
  return env().REDIS_URL
}

/** A second connection to the run's Redis, as an operator would have it. */
export function operatorsRedis(): Redis {
  redis ??= connectRedis(redisUrl())
  return redis
}

export function connectRedis(url: string): Redis {
  return url.startsWith('unix:') ? new Redis({ path: url.slice('unix:'.length) }) : new Redis(url)
}

/** All that lies under a key, as text. */
export async function contentOf(of: Redis, key: string): Promise<string> {
  switch (await of.type(key)) {
    case 'hash':
      return JSON.stringify(await of.hgetall(key))
    case 'stream':
      return JSON.stringify(await of.xrange(key, '-', '+'))
    default:
      return (await of.get(key))!
  }
}

/** The same server, another database. */
export function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}

function env(): Stores['env'] {
  if (!started) throw new Error('the stores are not open')
  return started.env
}
