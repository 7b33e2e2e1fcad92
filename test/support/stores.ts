import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Cluster, Redis, type NodeRole } from 'ioredis'
import knexModule, { type Knex } from 'knex'
import { startStores, type Stores, type Topology } from '../../dev/stores.ts'
import { asRedisUser, userWords } from './acl.ts'

/**
 * The real stores of this run: throw-away servers, or those that DATABASE_URL and REDIS_URL name. Either way the run keeps
 * to a database and a key prefix of its own, and removes both.
 *
 * TEST_REDIS says in what form the throw-away Redis is: `single`, or `sentinel`, or `cluster`. In the latter two the
 * service is the user there that docs/operating.md recommends, and may do no more. Nothing is left out on either: a test
 * that harms a Redis of its own (`ownRedis`) harms a single one, and what failovers do is in test/fault/topologies.test.ts.
 */

let started: Stores | undefined
let admin: Knex | undefined
let redis: AnyRedis | undefined
const run = `${process.pid}_${randomUUID().slice(0, 8)}`
const databaseName = `latchkey_test_${run}`

/** What every key of this run begins with. */
export const keyPrefix = `latchkey-test-${run}:`

export async function openStores(): Promise<void> {
  const topology = chosenTopology()
  started = await startStores({ name: `test-${process.pid}`, ephemeral: true, topology })
  if (hasUser())
    for (const server of await serversOf(operatorsRedis()))
      await server.call('ACL', 'SETUSER', ...userWords(keyPrefix, topology === 'cluster'))
  admin = knexModule({ client: 'pg', connection: started.env.DATABASE_URL, pool: { min: 0, max: 1 } })
  await admin.raw('create database ??', [databaseName])
}

export async function closeStores(): Promise<void> {
  if (redis) {
    for (const key of await keysLike(redis, `${keyPrefix}*`)) await redis.del(key)
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
  return hasUser() ? asRedisUser(env().REDIS_URL) : env().REDIS_URL
}

/** Whether the Redis of this run is one of ours that is reached by a URL with a user. */
const hasUser = () => chosenTopology() !== 'single' && !process.env['REDIS_URL']

/** A connection to one Redis, be it the primary of several, or to a Cluster. */
export type AnyRedis = Redis | Cluster

/** A second connection to the run's Redis, as an operator would have it. */
export function operatorsRedis(): AnyRedis {
  redis ??= connectRedis(env().REDIS_URL)
  return redis
}

/** Connects to whatever a REDIS_URL of the service names. */
export function connectRedis(url: string): AnyRedis {
  if (url.startsWith('unix:')) return new Redis({ path: url.slice('unix:'.length) })
  const { form, nodes, name } = /^redis\+(?<form>\w+):\/\/(?<nodes>[^/]+)(\/(?<name>.+))?$/.exec(url)?.groups ?? {}
  if (!form) return new Redis(url)
  const addresses = nodes!.split(',').map((node) => ({ host: node.split(':')[0]!, port: Number(node.split(':')[1]) }))
  return form === 'cluster' ? new Cluster(addresses) : new Redis({ sentinels: addresses, name: name! })
}

async function serversOf(of: AnyRedis, role: NodeRole = 'all'): Promise<Redis[]> {
  if (!(of instanceof Cluster)) return [of]
  if (of.status !== 'ready') await once(of, 'ready')
  return of.nodes(role)
}

/** All keys that match a pattern, on whichever server of a Cluster they are. */
export async function keysLike(of: AnyRedis, pattern: string): Promise<string[]> {
  const found = new Set<string>()
  for (const server of await serversOf(of, 'master'))
    for await (const keys of server.scanStream({ match: pattern, count: 1000 }) as AsyncIterable<string[]>)
      for (const key of keys) found.add(key)
  return [...found]
}

/** All that lies under a key, as text. */
export async function contentOf(of: AnyRedis, key: string): Promise<string> {
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

/** In what form the Redis of this run is. */
export function chosenTopology(): Topology {
  const chosen = process.env['TEST_REDIS'] || 'single'
  if (chosen === 'single' || chosen === 'sentinel' || chosen === 'cluster') return chosen
  throw new Error('TEST_REDIS must be single, sentinel or cluster')
}
