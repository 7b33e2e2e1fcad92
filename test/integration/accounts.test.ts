import argon2 from 'argon2'
import { expect } from 'chai'
import type { Accounts, Caller, Passwords } from '../../src/accounts/index.ts'
import { AppError } from '../../src/errors.ts'
import type { Log } from '../../src/platform/log.ts'
import { createSessions, type Sessions } from '../../src/sessions/index.ts'
import {
  client,
  createGate,
  lives,
  openAccounts,
  operator,
  refusalOf,
  stoppingAt,
  type AccountsRoom,
} from '../support/accounts.ts'
import { password, uniqueEmail } from '../support/people.ts'
import { keyPrefix } from '../support/stores.ts'

describe('a login whose password check is still running', () => {
  let room: AccountsRoom
  /** The same accounts, whose password checks stop until they are let go. */
  let slow: Accounts
  let gate: ReturnType<typeof createGate>

  before(async () => {
    room = await openAccounts()
    slow = room.accountsWith({ passwords: stoppingAt(() => gate.pass(), room.passwords) })
  })
  after(() => room.close())
  beforeEach(() => {
    gate = createGate()
  })

  async function aPersonWhoLogsIn() {
    const { person, session } = await room.aPerson()
    const login = room.logIn(person.email, password, slow)
    await gate.arrived
    return { person, login, caller: { userId: person.id, sessionId: session.id, client } }
  }

  async function refusalAfterwards(login: Promise<unknown>): Promise<unknown> {
    gate.open()
    return refusalOf(login)
  }

  it('opens its session when nothing happens meanwhile', async () => {
    const { person, login } = await aPersonWhoLogsIn()
    gate.open()

    const { session } = await login

    expect((await room.sessions.list(person.id)).map(({ id }) => id)).to.include(session.id)
  })

  it('leaves no session when everything is logged out meanwhile', async () => {
    const { person, login, caller } = await aPersonWhoLogsIn()
    await room.accounts.logOutEverywhere(caller)

    expect(await refusalAfterwards(login)).to.include({ code: 'invalid-credentials' })
    expect(await room.sessions.list(person.id)).to.deep.equal([])
  })

  it('leaves no session when the account is disabled meanwhile', async () => {
    const { person, login, caller } = await aPersonWhoLogsIn()
    await room.knex('users').where({ id: person.id }).update({ disabled_at: new Date() })

    expect(await refusalAfterwards(login)).to.include({ code: 'invalid-credentials' })
    expect((await room.sessions.list(person.id)).map(({ id }) => id)).to.deep.equal([caller.sessionId])
  })

  it('leaves no session when the account is deleted meanwhile', async () => {
    const { person, login, caller } = await aPersonWhoLogsIn()
    await room.knex('users').where({ id: person.id }).delete()

    expect(await refusalAfterwards(login)).to.include({ code: 'invalid-credentials' })
    expect((await room.sessions.list(person.id)).map(({ id }) => id)).to.deep.equal([caller.sessionId])
  })
})

describe('a login that was let in', () => {
  it('is answered, and has no session, when the account is deleted before it is written down', async () => {
    const room = await openAccounts()
    const { person } = await room.aPerson()
    const gate = createGate()
    const audit: typeof room.audit = {
      ...room.audit,
      async record(trx, ...entries) {
        if (entries[0]?.event === 'login.succeeded') await gate.pass()
        await room.audit.record(trx, ...entries)
      },
    }
    const login = room.logIn(person.email, undefined, room.accountsWith({ audit }))
    await gate.arrived
    await room.accounts.administration.remove(person.id, operator)
    gate.open()

    const { pair } = await login

    expect(await room.sessions.check(pair.accessToken)).to.include({ kind: 'ended', reason: 'revoked' })
    expect(await room.knex('known_devices').where({ user_id: person.id })).to.deep.equal([])
    expect(await room.knex('mails').where({ user_id: person.id, kind: 'new-device' })).to.deep.equal([])
    await room.close()
  })
})

describe('what PostgreSQL knows to have ended', () => {
  let room: AccountsRoom
  before(async () => {
    room = await openAccounts()
  })
  after(() => room.close())

  const endings: Record<string, (caller: Caller) => Promise<unknown>> = {
    logout: (caller) => room.accounts.logOut(caller),
    'logout everywhere': (caller) => room.accounts.logOutEverywhere(caller),
  }
  for (const [name, end] of Object.entries(endings))
    it(`gets no new tokens, even if Redis has forgotten a ${name}`, async () => {
      const { person, session, pair } = await room.aPerson()
      const caller = { userId: person.id, sessionId: session.id, client }
      const key = `${keyPrefix}sessions:{${person.id}}`
      const asBefore = await room.redis.hgetall(key)
      await end(caller)
      await room.redis.del(`${keyPrefix}ended:${session.id}`)
      await room.redis.hset(key, asBefore)

      const refused = await refusalOf(room.accounts.refresh(pair.refreshToken, client))

      expect(refused).to.include({ code: 'invalid-refresh-token', reason: 'ended' })
      expect(await room.sessions.check(pair.accessToken)).to.include({ kind: 'ended' })
      expect(await room.sessions.list(person.id)).to.deep.equal([])
    })

  it('is a disabled account, which gets no new tokens', async () => {
    const { person, session, pair } = await room.aPerson()
    await room.knex('users').where({ id: person.id }).update({ disabled_at: new Date() })

    expect(await refusalOf(room.accounts.refresh(pair.refreshToken, client))).to.include({ reason: 'ended' })
    expect(await room.sessions.check(pair.accessToken)).to.include({ kind: 'ended', reason: 'disabled' })
    expect(session.userId).to.equal(person.id)
  })

  it('is the end of a session whose refresh token was reused, and of one that was over the cap', async () => {
    const journalled = (sessionId: string) => room.knex('session_endings').where({ session_id: sessionId }).first()
    const reused = await room.aPerson()
    const fresh = await room.accounts.refresh(reused.pair.refreshToken, client)
    await room.accounts.refresh(fresh.pair.refreshToken, client)
    await refusalOf(room.accounts.refresh(reused.pair.refreshToken, client))
    expect(await journalled(reused.session.id)).to.include({ reason: 'reused', actor_id: null })

    const { redis, continuity, clock } = room
    const small = createSessions({
      redis,
      continuity,
      prefix: keyPrefix,
      clock,
      lives: () => ({ ...lives, perUserMax: 1 }),
      log: () => undefined,
    })
    const evicted = await room.aPerson()
    await room.logIn(evicted.person.email, password, room.accountsWith({ sessions: small }))
    expect(await journalled(evicted.session.id)).to.include({ reason: 'evicted' })
  })

  it('is, once a logout is confirmed, the ending that a killed process had brought to Redis alone', async () => {
    const { person, session, pair } = await room.aPerson()
    const key = `${keyPrefix}sessions:{${person.id}}`
    const asBefore = await room.redis.hgetall(key)
    await room.sessions.end(person.id, [session.id], 'logged-out')

    await room.accounts.logOutByRefreshToken(pair.refreshToken, client)

    await room.redis.hset(key, asBefore)
    expect(await refusalOf(room.accounts.refresh(pair.refreshToken, client))).to.include({
      code: 'invalid-refresh-token',
      reason: 'ended',
    })
  })

  it('has moved on before the set is cleared, so that a login cannot slip in between', async () => {
    const seen: number[] = []
    const watched: Sessions = {
      ...room.sessions,
      async endAll(userId, reason) {
        const { session_epoch } = await room.knex('users').where({ id: userId }).first()
        seen.push(session_epoch)
        return room.sessions.endAll(userId, reason)
      },
    }
    const { person, session } = await room.aPerson()

    const caller = { userId: person.id, sessionId: session.id, client }
    await room.accountsWith({ sessions: watched }).logOutEverywhere(caller)

    expect(seen).to.deep.equal([1])
  })

  it('is asked once more after a session was opened; when it does not answer, the session is taken back', async () => {
    const first = await room.aPerson()
    const broken: Sessions = {
      ...room.sessions,
      async open(person) {
        const opened = await room.sessions.open(person)
        await room.knex.raw('alter table users rename to users_away')
        return opened
      },
    }
    const login = room.logIn(first.person.email, password, room.accountsWith({ sessions: broken }))

    expect(await refusalOf(login)).to.include({ code: 'unavailable' })
    await room.knex.raw('alter table users_away rename to users')
    expect((await room.sessions.list(first.person.id)).map(({ id }) => id)).to.deep.equal([first.session.id])
  })
})

describe('a hash that is outdated', () => {
  let room: AccountsRoom
  before(async () => {
    room = await openAccounts()
  })
  after(() => room.close())

  const django = 'pbkdf2_sha256$260000$seasalt$E2mD54hHRBD9/QaYlRQ0tKByc/hoeW8FUsx1qlfLA7A='
  const hashOf = async (id: string) => (await room.knex('users').where({ id }).first()).password_hash as string

  it('is replaced by the first login with the right password, and by no other', async () => {
    const { person } = await room.aPerson()
    await room.knex('users').where({ id: person.id }).update({ password_hash: django })

    await refusalOf(room.logIn(person.email, 'not the password'))
    expect(await hashOf(person.id)).to.equal(django)
    await room.logIn(person.email)
    const renewed = await hashOf(person.id)
    expect(renewed).to.match(/^\$argon2id\$v=19\$m=1024,t=2,p=1\$/)
    await room.logIn(person.email)
    expect(await hashOf(person.id)).to.equal(renewed)
  })

  it('is told of in the log when it was replaced, and when it could not be, which fails no login', async () => {
    const { person } = await room.aPerson()
    await room.knex('users').where({ id: person.id }).update({ password_hash: django })
    const logged: unknown[] = []
    const log: Log = (event, fields) => event.startsWith('password') && logged.push([event, fields])
    const failing: Passwords = { ...room.passwords, hash: () => Promise.reject(new AppError('unavailable')) }

    await room.logIn(person.email, password, room.accountsWith({ log, passwords: failing }))
    expect(await hashOf(person.id)).to.equal(django)
    await room.logIn(person.email, password, room.accountsWith({ log }))

    const user_id = person.id
    expect(logged).to.deep.equal([
      ['password.rehash_failed', { user_id, code: 'unavailable' }],
      ['password.rehashed', { user_id }],
    ])
  })
})

describe('between the proof of a password and the change it is for', () => {
  let room: AccountsRoom
  before(async () => {
    room = await openAccounts()
  })
  after(() => room.close())

  const newPassword = 'a quite different sentence'
  const cheaper = { type: argon2.argon2id, memoryCost: 1024, timeCost: 1, parallelism: 1 }

  /** Somebody with an outdated hash, and what they may do with their password, stopped when it has been proven. */
  async function aPersonWhoProves(change: keyof typeof changes) {
    const someone = await room.aPerson()
    const { id } = someone.person
    await room
      .knex('users')
      .where({ id })
      .update({ password_hash: await argon2.hash(password, cheaper) })
    const gate = createGate()
    const caller = { userId: id, sessionId: someone.session.id, client }
    const slow = room.accountsWith({ passwords: stoppingAt(gate.pass, room.passwords) })
    const changing = changes[change](slow, caller)
    await gate.arrived
    return { ...someone, caller, changing, goOn: gate.open }
  }

  const changes = {
    'a password change': (accounts: Accounts, caller: Caller) =>
      accounts.changePassword(caller, { currentPassword: password, newPassword }),
    'a deletion': (accounts: Accounts, caller: Caller) => accounts.remove(caller, password),
    'a change of the address': (accounts: Accounts, caller: Caller) =>
      accounts.change(caller, { email: uniqueEmail(), currentPassword: password }),
  }
  const stored = (id: string) => room.knex('users').where({ id }).first()

  for (const change of Object.keys(changes) as (keyof typeof changes)[]) {
    it(`a login may replace an outdated hash, and ${change} goes through`, async () => {
      const { person, changing, goOn } = await aPersonWhoProves(change)
      const before = await stored(person.id)
      await room.logIn(person.email)
      expect((await stored(person.id)).password_hash).to.not.equal(before.password_hash)
      goOn()

      await changing
    })

    it(`another password refuses ${change}, by the same session as wrong`, async () => {
      const { person, caller, changing, goOn } = await aPersonWhoProves(change)
      await room.accounts.changePassword(caller, { currentPassword: password, newPassword: 'one of another' })
      const before = await stored(person.id)
      goOn()

      expect(await refusalOf(changing)).to.include({ code: 'wrong-password' })
      expect(await stored(person.id)).to.deep.equal(before)
    })

    it(`an end of the session refuses ${change}, and nothing has changed`, async () => {
      const { person, caller, changing, goOn } = await aPersonWhoProves(change)
      await room.accounts.logOutEverywhere(caller)
      const before = await stored(person.id)
      goOn()

      expect(await refusalOf(changing)).to.include({ code: 'invalid-token', reason: 'logged-out-everywhere' })
      expect(await stored(person.id)).to.deep.equal(before)
    })
  }

  it('of two password changes that have proven the same one, the first counts', async () => {
    const { person, changing, goOn } = await aPersonWhoProves('a password change')
    const other = await room.logIn(person.email)
    const otherCaller = { userId: person.id, sessionId: other.session.id, client }
    const gate = createGate()
    const second = room
      .accountsWith({ passwords: stoppingAt(gate.pass, room.passwords) })
      .changePassword(otherCaller, { currentPassword: password, newPassword: 'one of another' })
    await gate.arrived
    goOn()
    await changing
    gate.open()

    expect(await refusalOf(second)).to.include({ code: 'invalid-token', reason: 'password-changed' })
    expect((await room.logIn(person.email, newPassword)).person.id).to.equal(person.id)
  })
})
