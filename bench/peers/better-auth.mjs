/** Better Auth on node:http: people in PostgreSQL, sessions in Redis as its secondary storage, and no cookie cache. */
import { createHash, randomUUID } from 'node:crypto'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { toNodeHandler } from 'better-auth/node'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { listen } from './listen.mjs'

const redis = new Redis(process.env.REDIS_URL)
const schema = 'better_auth'
const database = new Pool({ connectionString: process.env.DATABASE_URL, options: `-c search_path=${schema}` })

// Signing up is what the sessions come from, not what is measured, so it need not take long.
const hash = async (password) => createHash('sha256').update(password).digest('hex')
const options = {
  baseURL: 'http://127.0.0.1',
  secret: randomUUID(),
  database,
  secondaryStorage: {
    get: (key) => redis.get(key),
    set: (key, value, ttlSeconds) => (ttlSeconds ? redis.set(key, value, 'EX', ttlSeconds) : redis.set(key, value)),
    delete: (key) => redis.del(key),
  },
  emailAndPassword: {
    enabled: true,
    password: { hash, verify: async ({ hash: stored, password }) => stored === (await hash(password)) },
  },
  // Everybody here comes from one address.
  rateLimit: { enabled: false },
}
await database.query(`create schema if not exists ${schema}`)
const { runMigrations } = await getMigrations(options)
await runMigrations()
listen(toNodeHandler(betterAuth(options)))
