import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import knexModule, { type Knex } from 'knex'
import { discard, startPostgres, startRedis, stateDir, type Service } from '../../dev/stores.ts'
import { withDatabase } from './stores.ts'

/** A store that belongs to one test: it may be killed, paused and started again on what it has kept. */
export interface OwnStore {
  url: string
  kill: () => Promise<void>
  /** Starts it again after it was killed. */
  start: () => Promise<void>
  pause: () => void
  resume: () => void
  /** Ends it, in whatever state it is, and deletes what it has kept. */
  discard: () => Promise<void>
}

export interface OwnRedis extends OwnStore {
  /** Where it keeps its data. */
  dataDir: string
  /** Forgets everything that it has kept; while it is killed. */
  forget: () => void
  /** Copies what it has kept until now; it must be quiet. */
  copy: () => DataCopy
  /** The connection of an operator, made anew when it broke. */
  operator: () => Redis
}

/** What a Redis had kept at some time. */
export interface DataCopy {
  /** Gives it to a Redis in the place of what that has kept; while that is killed. */
  restoreTo: (redis: OwnRedis) => void
}

export interface OwnPostgres extends OwnStore {
  /** The connections of an operator, to the server's own database. */
  operator: Knex
  /** To the database of the service; they are made anew after it was killed. */
  database: Knex
}

let count = 0
const newDir = (name: string) => stateDir(`test-${process.pid}/${name}-${++count}`)

/** A Redis that keeps what it has acknowledged. */
export async function ownRedis(): Promise<OwnRedis> {
  const dir = newDir('redis')
  const dataDir = path.join(dir, 'redis')
  const args = ['--appendonly', 'yes', '--appendfsync', 'always']
  const store = await own(dir, () => startRedis({ dir, ephemeral: true, args }))
  let operator: Redis | undefined
  return Object.assign(store, {
    dataDir,
    forget: () => fs.rmSync(dataDir, { recursive: true }),
    copy(): DataCopy {
      const copied = newDir('redis-copy')
      fs.cpSync(dataDir, copied, { recursive: true })
      return {
        restoreTo(redis) {
          redis.forget()
          fs.cpSync(copied, redis.dataDir, { recursive: true })
        },
      }
    },
    operator() {
      if (!operator) {
        operator = new Redis({ path: store.url.slice('unix:'.length) })
        operator.on('error', () => undefined)
      }
      return operator
    },
    async discard() {
      operator?.disconnect()
      await discard(dir)
    },
  })
}

/** A PostgreSQL with an empty database of its own. */
export async function ownPostgres(): Promise<OwnPostgres> {
  const dir = newDir('postgres')
  const store = await own(dir, () => startPostgres({ dir, ephemeral: true }))
  const operator = connectPostgres(store.url)
  await operator.raw('create database latchkey')
  // Throw-away servers are set up to forget the last moments when they are killed.
  await operator.raw('alter database latchkey set synchronous_commit = on')
  const url = withDatabase(store.url, 'latchkey')
  const database = connectPostgres(url)
  return Object.assign(store, {
    url,
    operator,
    database,
    async discard() {
      await Promise.race([Promise.all([operator.destroy(), database.destroy()]), delay(500)])
      await discard(dir)
    },
  })
}

async function own(dir: string, launch: () => Promise<Service>): Promise<OwnStore> {
  let service = await launch()
  return {
    url: service.url,
    kill: () => service.kill(),
    async start() {
      service = await launch()
    },
    pause: () => service.pause(),
    resume: () => service.resume(),
    discard: () => discard(dir),
  }
}

/** Connections to a PostgreSQL that is about to be harmed; it does not complain when they break. */
export function connectPostgres(url: string): Knex {
  return knexModule({ client: 'pg', connection: url, pool: { min: 0, max: 3 }, log: { warn() {} } })
}
