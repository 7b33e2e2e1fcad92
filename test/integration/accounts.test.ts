import { expect } from 'chai'
import knexModule, { type Knex } from 'knex'
import { migrationSource } from '../../migrations/index.ts'
import {
  createAccounts,
  createPasswords,
  type Accounts,
  type Caller,
  type Passwords,
  type SignedIn,
} from '../../src/accounts/index.ts'
import { createMail } from '../../src/mail/index.ts'
import { migrate } from '../../src/platform/migrate.ts'
import { createSessions, type Sessions } from '../../src/sessions/index.ts'
import { movableClock } from '../support/clock.ts'
import { password, uniqueEmail } from '../support/people.ts'
import { connectRedis, databaseUrl, keyPrefix, redisUrl } from '../support/stores.ts'
import { aThrottle } from '../support/throttle.ts'

const client = { address: null, userAgent: null }
const hour = 3_600_000
const lives = {
  accessMs: hour,
  idleMs: hour,
  absoluteMs: hour,
  graceMs: 30_000,
  reuseWindowMs: hour,
  perUserMax: 50,
}

const open = {
  log: () => undefined,
  registration: 'open' as const,
  requireVerifiedEmail: false,
  passwordMinLength: () => 8,
  sendsSignInNotices: () => true,
}

describe('a login whose password check is still running', () => {
  let knex: Knex
  let redis: ReturnType<typeof connectRedis>
  let sessions: Sessions
  let accounts: Accounts
  /** The same accounts, whose password checks stop until they are let go. */
  let slow: Accounts
  let checking: PromiseWithResolvers<void>
  let letGo: PromiseWithResolvers<void>

  before(async () => {
    await migrate(databaseUrl(), migrationSource)
    knex = knexModule({ client: 'pg', connection: databaseUrl() })
    redis = connectRedis(redisUrl())
    const clock = movableClock()
    sessions = createSessions({ redis, prefix: keyPrefix, clock, lives: () => lives })
    const passwords = createPasswords({ memoryKib: 1024, timeCost: 2, parallelism: 1 }, { atOnce: 2, waitingMax: 50 })
    const gated: Passwords = {
      ...passwords,
      async verify(hash, text) {
        const right = await passwords.verify(hash, text)
        checking.resolve()
        await letGo.promise
        return right
      },
    }
    accounts = createAccounts({
      ...open,
      knex,
      mails: mailsOf(knex),
      sessions,
      throttle: aThrottle(redis),
      clock,
      passwords,
    })
    slow = createAccounts({
      ...open,
      knex,
      mails: mailsOf(knex),
      sessions,
      throttle: aThrottle(redis),
      clock,
      passwords: gated,
    })
  })
  after(async () => {
    redis.disconnect()
    await knex.destroy()
  })
  beforeEach(() => {
    checking = withResolvers()
    letGo = withResolvers()
  })

  async function aPersonWhoLogsIn() {
    const email = uniqueEmail()
    const { person, session } = await registered(accounts, { email, password, client })
    const login = slow.logIn({ identifier: { kind: 'email', text: email }, password, client })
    await checking.promise
    return { person, login, caller: { userId: person.id, sessionId: session.id } }
  }

  async function refusalAfterwards(login: Promise<unknown>): Promise<unknown> {
    letGo.resolve()
    return refusalOf(login)
  }

  it('opens its session when nothing happens meanwhile', async () => {
    const { person, login } = await aPersonWhoLogsIn()
    letGo.resolve()

    const { session } = await login

    expect((await sessions.list(person.id)).map(({ id }) => id)).to.include(session.id)
  })

  it('leaves no session when everything is logged out meanwhile', async () => {
    const { person, login, caller } = await aPersonWhoLogsIn()
    await accounts.logOutEverywhere(caller)

    expect(await refusalAfterwards(login)).to.include({ code: 'invalid-credentials' })
    expect(await sessions.list(person.id)).to.deep.equal([])
  })

  it('leaves no session when the account is disabled meanwhile', async () => {
    const { person, login, caller } = await aPersonWhoLogsIn()
    await knex('users').where({ id: person.id }).update({ disabled_at: new Date() })

    expect(await refusalAfterwards(login)).to.include({ code: 'invalid-credentials' })
    expect((await sessions.list(person.id)).map(({ id }) => id)).to.deep.equal([caller.sessionId])
  })

  it('leaves no session when the account is deleted meanwhile', async () => {
    const { person, login, caller } = await aPersonWhoLogsIn()
    await knex('users').where({ id: person.id }).delete()

    expect(await refusalAfterwards(login)).to.include({ code: 'invalid-credentials' })
    expect((await sessions.list(person.id)).map(({ id }) => id)).to.deep.equal([caller.sessionId])
  })
})

describe('what PostgreSQL knows to have ended', () => {
  let knex: Knex
  let redis: ReturnType<typeof connectRedis>
  let sessions: Sessions
  let accounts: Accounts
  const clock = movableClock()

  before(async () => {
    await migrate(databaseUrl(), migrationSource)
    knex = knexModule({ client: 'pg', connection: databaseUrl() })
    redis = connectRedis(redisUrl())
    sessions = createSessions({ redis, prefix: keyPrefix, clock, lives: () => lives })
    const passwords = createPasswords({ memoryKib: 1024, timeCost: 2, parallelism: 1 }, { atOnce: 2, waitingMax: 50 })
    accounts = createAccounts({
      ...open,
      knex,
      mails: mailsOf(knex),
      sessions,
      throttle: aThrottle(redis),
      clock,
      passwords,
    })
  })
  after(async () => {
    redis.disconnect()
    await knex.destroy()
  })

  const endings: Record<string, (caller: Caller) => Promise<unknown>> = {
    logout: (caller) => accounts.logOut(caller),
    'logout everywhere': (caller) => accounts.logOutEverywhere(caller),
  }
  for (const [name, end] of Object.entries(endings))
    it(`gets no new tokens, even if Redis has forgotten a ${name}`, async () => {
      const { person, session, pair } = await registered(accounts, { email: uniqueEmail(), password, client })
      const caller = { userId: person.id, sessionId: session.id }
      const key = `${keyPrefix}sessions:{${person.id}}`
      const asBefore = await redis.hgetall(key)
      await end(caller)
      await redis.del(`${keyPrefix}ended:${session.id}`)
      await redis.hset(key, asBefore)

      const refused = await refusalOf(accounts.refresh(pair.refreshToken, client))

      expect(refused).to.include({ code: 'invalid-refresh-token', reason: 'ended' })
      expect(await sessions.check(pair.accessToken)).to.include({ kind: 'ended' })
      expect(await sessions.list(person.id)).to.deep.equal([])
    })

  it('is a disabled account, which gets no new tokens', async () => {
    const { person, session, pair } = await registered(accounts, { email: uniqueEmail(), password, client })
    await knex('users').where({ id: person.id }).update({ disabled_at: new Date() })

    expect(await refusalOf(accounts.refresh(pair.refreshToken, client))).to.include({ reason: 'ended' })
    expect(await sessions.check(pair.accessToken)).to.include({ kind: 'ended', reason: 'disabled' })
    expect(session.userId).to.equal(person.id)
  })

  it('is the end of a session whose refresh token was reused, and of one that was over the cap', async () => {
    const journalled = (sessionId: string) => knex('session_endings').where({ session_id: sessionId }).first()
    const reused = await registered(accounts, { email: uniqueEmail(), password, client })
    const fresh = await accounts.refresh(reused.pair.refreshToken, client)
    await accounts.refresh(fresh.pair.refreshToken, client)
    await refusalOf(accounts.refresh(reused.pair.refreshToken, client))
    expect(await journalled(reused.session.id)).to.include({ reason: 'reused', actor_id: null })

    const email = uniqueEmail()
    const small = createSessions({ redis, prefix: keyPrefix, clock, lives: () => ({ ...lives, perUserMax: 1 }) })
    const passwords = createPasswords({ memoryKib: 1024, timeCost: 2, parallelism: 1 }, { atOnce: 2, waitingMax: 50 })
    const capped = createAccounts({
      ...open,
      knex,
      mails: mailsOf(knex),
      sessions: small,
      throttle: aThrottle(redis),
      clock,
      passwords,
    })
    const evicted = await registered(capped, { email, password, client })
    await capped.logIn({ identifier: { kind: 'email', text: email }, password, client })
    expect(await journalled(evicted.session.id)).to.include({ reason: 'evicted' })
  })

  it('has moved on before the set is cleared, so that a login cannot slip in between', async () => {
    const seen: number[] = []
    const watched: Sessions = {
      ...sessions,
      async endAll(userId, reason) {
        const { session_epoch } = await knex('users').where({ id: userId }).first()
        seen.push(session_epoch)
        return sessions.endAll(userId, reason)
      },
    }
    const passwords = createPasswords({ memoryKib: 1024, timeCost: 2, parallelism: 1 }, { atOnce: 2, waitingMax: 50 })
    const { person, session } = await registered(accounts, { email: uniqueEmail(), password, client })

    await createAccounts({
      ...open,
      knex,
      mails: mailsOf(knex),
      sessions: watched,
      throttle: aThrottle(redis),
      clock,
      passwords,
    }).logOutEverywhere({
      userId: person.id,
      sessionId: session.id,
    })

    expect(seen).to.deep.equal([1])
  })

  it('is asked once more after a session was opened; when it does not answer, the session is taken back', async () => {
    const email = uniqueEmail()
    const first = await registered(accounts, { email, password, client })
    const broken: Sessions = {
      ...sessions,
      async open(person) {
        const opened = await sessions.open(person)
        await knex.raw('alter table users rename to users_away')
        return opened
      },
    }
    const passwords = createPasswords({ memoryKib: 1024, timeCost: 2, parallelism: 1 }, { atOnce: 2, waitingMax: 50 })
    const login = createAccounts({
      ...open,
      knex,
      mails: mailsOf(knex),
      sessions: broken,
      throttle: aThrottle(redis),
      clock,
      passwords,
    }).logIn({
      identifier: { kind: 'email', text: email },
      password,
      client,
    })

    expect(await refusalOf(login)).to.include({ code: 'unavailable' })
    await knex.raw('alter table users_away rename to users')
    expect((await sessions.list(first.person.id)).map(({ id }) => id)).to.deep.equal([first.session.id])
  })
})

describe('a hash that is outdated', () => {
  let knex: Knex
  let redis: ReturnType<typeof connectRedis>
  let accounts: Accounts
  before(async () => {
    await migrate(databaseUrl(), migrationSource)
    knex = knexModule({ client: 'pg', connection: databaseUrl() })
    redis = connectRedis(redisUrl())
    const clock = movableClock()
    const sessions = createSessions({ redis, prefix: keyPrefix, clock, lives: () => lives })
    const passwords = createPasswords({ memoryKib: 1024, timeCost: 2, parallelism: 1 }, { atOnce: 2, waitingMax: 50 })
    const throttle = aThrottle(redis)
    accounts = createAccounts({ ...open, knex, mails: mailsOf(knex), sessions, throttle, clock, passwords })
  })
  after(async () => {
    redis.disconnect()
    await knex.destroy()
  })

  const django = 'pbkdf2_sha256$260000$seasalt$E2mD54hHRBD9/QaYlRQ0tKByc/hoeW8FUsx1qlfLA7A='
  const hashOf = async (id: string) => (await knex('users').where({ id }).first()).password_hash as string
  const logIn = (email: string, text = password) =>
    accounts.logIn({ identifier: { kind: 'email', text: email }, password: text, client })

  it('is replaced by the first login with the right password, and by no other', async () => {
    const email = uniqueEmail()
    const { person } = await registered(accounts, { email, password, client })
    await knex('users').where({ id: person.id }).update({ password_hash: django })

    await refusalOf(logIn(email, 'not the password'))
    expect(await hashOf(person.id)).to.equal(django)
    await logIn(email)
    const renewed = await hashOf(person.id)
    expect(renewed).to.match(/^\$argon2id\$v=19\$m=1024,t=2,p=1\$/)
    await logIn(email)
    expect(await hashOf(person.id)).to.equal(renewed)
  })
})

describe('an unknown account', () => {
  it('costs a check of a hash like any other', async () => {
    const passwords = createPasswords({ memoryKib: 8192, timeCost: 3, parallelism: 1 }, { atOnce: 2, waitingMax: 50 })
    const hash = await passwords.hash(password)
    await passwords.verify(null, password)
    const cpuMsOf = async (passwordHash: string | null) => {
      const before = process.cpuUsage()
      for (let i = 0; i < 10; i++) await passwords.verify(passwordHash, 'another one')
      const { user, system } = process.cpuUsage(before)
      return (user + system) / 1000
    }

    const [known, unknown] = [await cpuMsOf(hash), await cpuMsOf(null)]

    expect(unknown, `known: ${known} ms`).to.be.greaterThan(known / 3)
  })
})

/** The real queue, from which nothing is sent. */
function mailsOf(knex: Knex) {
  return createMail({
    knex,
    databaseUrl: databaseUrl(),
    databaseTimeoutMs: 1500,
    smtp: null,
    from: { name: 'Latchkey', address: 'latchkey@localhost' },
    links: {},
    chores: [],
    log: () => undefined,
  })
}

/** Registers somebody who is let in at once. */
async function registered(accounts: Accounts, asked: Parameters<Accounts['register']>[0]): Promise<SignedIn> {
  const signedIn = await accounts.register(asked)
  if (!signedIn) throw new Error('not let in')
  return signedIn
}

/** What an operation throws. */
async function refusalOf(operation: Promise<unknown>): Promise<unknown> {
  return operation.then(
    () => new Error('it was not refused'),
    (refused: unknown) => refused,
  )
}

/** Promise.withResolvers, which Node 20 does not have. */
function withResolvers(): PromiseWithResolvers<void> {
  let resolve!: () => void
  let reject!: (reason: unknown) => void
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
