import { once } from 'node:events'
import knexModule from 'knex'
import { migrationSource } from '../../migrations/index.ts'
import {
  createAccounts,
  createPasswords,
  type Accounts,
  type Passwords,
  type SignedIn,
} from '../../src/accounts/index.ts'
import { createAudit, type Actor } from '../../src/audit/index.ts'
import { createMail } from '../../src/mail/index.ts'
import { migrate } from '../../src/platform/migrate.ts'
import { openPostgres } from '../../src/platform/postgres.ts'
import { createContinuity, type Continuity } from '../../src/platform/continuity.ts'
import { openRedis, type Redis } from '../../src/platform/redis.ts'
import { createSessions, type Lives } from '../../src/sessions/index.ts'
import { movableClock } from './clock.ts'
import { password, uniqueEmail } from './people.ts'
import { databaseUrl, keyPrefix, redisUrl } from './stores.ts'
import { aThrottle } from './throttle.ts'

const hour = 3_600_000
const storeTimeoutMs = 1500

export const lives: Lives = {
  accessMs: hour,
  idleMs: hour,
  absoluteMs: hour,
  graceMs: 30_000,
  reuseWindowMs: hour,
  perUserMax: 50,
  accessLapsedTo: 0,
  idleLapsedTo: 0,
  absoluteLapsedTo: 0,
  graceLapsedTo: 0,
}

/** A client that tells nothing of itself. */
export const client = { address: null, userAgent: null }

/** An operator at the command line. */
export const operator: Actor = { kind: 'operator', id: null, address: null, userAgent: null }

/** Of a Redis that nobody replaces. */
export function continuityOf(redis: Redis): Continuity {
  const nothing = async () => 0
  return createContinuity({
    redis,
    restore: nothing,
    followUp: nothing,
    timeoutMs: storeTimeoutMs,
    log: () => undefined,
  })
}

export type AccountsRoom = Awaited<ReturnType<typeof openAccounts>>

/** The accounts room on its real stores, without HTTP; its mails are queued, and not sent. */
export async function openAccounts(urls: { postgres?: string; redis?: string } = {}) {
  const { postgres = databaseUrl(), redis: redisAt = redisUrl() } = urls
  await migrate(postgres, migrationSource)
  const log = () => undefined
  /** Of an operator, without time-outs; it keeps no connection. */
  const knex = knexModule({ client: 'pg', connection: postgres, pool: { min: 0 }, log: { warn() {} } })
  const pool = openPostgres({ url: postgres, poolMax: 10, timeoutMs: storeTimeoutMs })
  const redis = openRedis({ url: redisAt, timeoutMs: storeTimeoutMs, log })
  if (redis.status !== 'ready') await once(redis, 'ready')
  const continuity = continuityOf(redis)
  const clock = movableClock()
  const passwords = createPasswords({ memoryKib: 1024, timeCost: 2, parallelism: 1 }, { atOnce: 2, waitingMax: 50 })
  const sessionsWith = (others: Partial<Lives>) =>
    createSessions({ redis, continuity, prefix: keyPrefix, clock, lives: () => ({ ...lives, ...others }), log })
  const sessions = sessionsWith({})
  const mails = createMail({
    knex: pool,
    databaseUrl: postgres,
    databaseTimeoutMs: storeTimeoutMs,
    smtp: null,
    from: { name: 'Latchkey', address: 'latchkey@localhost' },
    links: {},
    chores: [],
    log,
  })

  const audit = createAudit({ knex: pool, clock, retentionMs: () => hour, log })

  /** The accounts on the same stores, with some of their parts replaced. */
  const accountsWith = (parts: Partial<Parameters<typeof createAccounts>[0]> = {}): Accounts =>
    createAccounts({
      knex: pool,
      sessions,
      throttle: aThrottle(redis),
      passwords,
      clock,
      log,
      mails,
      audit,
      registration: 'open',
      requireVerifiedEmail: false,
      passwordMinLength: () => 8,
      sendsSignInNotices: () => true,
      ...parts,
    })
  const accounts = accountsWith()

  return {
    knex,
    redis,
    continuity,
    clock,
    passwords,
    sessions,
    sessionsWith,
    audit,
    accounts,
    accountsWith,
    /** Registers somebody. */
    async aPerson(): Promise<SignedIn> {
      const signedIn = await accounts.register({ email: uniqueEmail(), password, client })
      if (!signedIn) throw new Error('not let in')
      return signedIn
    },
    logIn: (email: string, text = password, by = accounts) =>
      by.logIn({ identifier: { kind: 'email', text: email }, password: text, client }),
    async close() {
      continuity.stop()
      redis.disconnect()
      await Promise.all([knex.destroy(), pool.destroy()])
    },
  }
}

/** What an operation throws. */
export async function refusalOf(operation: Promise<unknown>): Promise<unknown> {
  return operation.then(
    () => new Error('it was not refused'),
    (refused: unknown) => refused,
  )
}

/** The same passwords, whose checks stop when they are done, until they may pass. */
export function stoppingAt(pass: () => Promise<void>, passwords: Passwords): Passwords {
  const stopping =
    (verify: Passwords['verify']): Passwords['verify'] =>
    async (hash, text) => {
      const right = await verify(hash, text)
      await pass()
      return right
    }
  return {
    ...passwords,
    verify: stopping(passwords.verify),
    beforeVerifying: (lead) => passwords.beforeVerifying((verify) => lead(stopping(verify))),
  }
}

/** A place where work stops until it is let go. */
export function createGate() {
  let open!: () => void
  let arrive!: () => void
  const opened = new Promise<void>((resolve) => (open = resolve))
  const arrived = new Promise<void>((resolve) => (arrive = resolve))
  return {
    /** Done when somebody waits at it. */
    arrived,
    pass: async (): Promise<void> => {
      arrive()
      await opened
    },
    open,
  }
}
