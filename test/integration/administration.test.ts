import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { consequences } from '../../src/accounts/consequences.ts'
import type { SignedIn } from '../../src/accounts/index.ts'
import type { Actor } from '../../src/audit/index.ts'
import type { Knex } from '../../src/platform/postgres.ts'
import type { Sessions } from '../../src/sessions/index.ts'
import {
  client,
  createGate,
  openAccounts,
  operator,
  refusalOf,
  stoppingAt,
  type AccountsRoom,
} from '../support/accounts.ts'
import { eventually } from '../support/eventually.ts'
import { connectPostgres, ownPostgres, ownRedis, type OwnPostgres, type OwnRedis } from '../support/own-stores.ts'
import { password, uniqueEmail } from '../support/people.ts'
import { databaseUrl, keyPrefix, withDatabase } from '../support/stores.ts'

const halfAnHour = 1_800_000

describe('administration', () => {
  let room: AccountsRoom
  before(async () => {
    room = await openAccounts()
  })
  after(() => room.close())

  const mintedReset = async ({ person }: SignedIn) => room.accounts.mintResetToken(mailTo(person), halfAnHour)
  const mintedVerification = async ({ person }: SignedIn) =>
    room.accounts.mintVerificationToken(mailTo(person), halfAnHour)
  const mailTo = ({ id, email }: SignedIn['person']) => ({
    id: randomUUID(),
    userId: id,
    address: email,
    queuedAt: new Date(room.clock.now()),
  })
  const secondSession = ({ person }: SignedIn) => room.logIn(person.email)
  const openSessionsOf = async ({ person }: SignedIn) => (await room.sessions.list(person.id)).map(({ id }) => id)
  const noticesTo = async ({ person }: SignedIn) =>
    (await room.knex('mails').where({ user_id: person.id }).whereNot({ kind: 'verify-email' })).map(({ kind }) => kind)

  const doors = {
    disable: ({ person }: SignedIn) => room.accounts.administration.disable(person.id, operator),
    'role-change': ({ person }: SignedIn) => room.accounts.administration.edit(person.id, { role: 'admin' }, operator),
  }
  for (const [event, happen] of Object.entries(doors)) {
    const { thisSession, otherSessions, oneTimeTokens, notice, reason } = consequences[event as keyof typeof doors]
    describe(`by ${event}`, () => {
      let sessions: SignedIn[]
      let resetToken: string
      let verificationToken: string
      before(async () => {
        const someone = await room.aPerson()
        sessions = [someone, await secondSession(someone)]
        resetToken = (await mintedReset(someone))!
        verificationToken = (await mintedVerification(someone))!
        await happen(someone)
      })

      const cells = { 'this session': [0, thisSession], 'another session': [1, otherSessions] } as const
      for (const [which, [i, cell]] of Object.entries(cells))
        it(`${which}: ${cell}`, async () => {
          const { pair } = sessions[i]!
          const check = await room.sessions.check(pair.accessToken)
          if (cell.startsWith('stay')) {
            expect(check).to.include({ kind: 'live' })
            return
          }
          expect(check).to.include({ kind: 'ended', reason })
          expect(await refusalOf(room.accounts.refresh(pair.refreshToken, client))).to.include({ reason: 'ended' })
        })

      it(`the mail to the owner: ${notice ?? 'none'}`, async () => {
        expect(await noticesTo(sessions[0]!)).to.deep.equal([])
      })

      it(`a link to confirm the address: ${oneTimeTokens}`, async () => {
        const verified = room.accounts.verifyEmail(verificationToken, client)
        if (oneTimeTokens === 'stay') await verified
        else expect(await refusalOf(verified)).to.include({ code: 'invalid-token-link' })
      })

      it(`a link to reset the password: ${oneTimeTokens}`, async () => {
        const reset = room.accounts.resetPassword(resetToken, 'a quite different sentence', client)
        if (oneTimeTokens === 'stay') await reset
        else expect(await refusalOf(reset)).to.include({ code: 'invalid-reset-token' })
      })
    })
  }

  describe('a disabled account', () => {
    it('has its sessions told to the log as ended, once, with how many there were', async () => {
      const logged: unknown[] = []
      const accounts = room.accountsWith({ log: (event, fields) => logged.push({ event, ...fields }) })
      const someone = await room.aPerson()
      await secondSession(someone)
      const user_id = someone.person.id

      await accounts.administration.disable(user_id, operator)
      await accounts.administration.disable(user_id, operator)

      expect(logged).to.deep.equal([
        { event: 'sessions.ended', user_id, count: 2, reason: 'disabled' },
        { event: 'account.disabled', user_id },
        { event: 'account.disabled', user_id },
      ])
    })

    it('is not logged in to by a password check that was running meanwhile, also when it is enabled again by then', async () => {
      for (const isEnabled of [false, true]) {
        const someone = await room.aPerson()
        const gate = createGate()
        const slow = room.accountsWith({ passwords: stoppingAt(gate.pass, room.passwords) })
        const login = room.logIn(someone.person.email, password, slow)
        await gate.arrived
        await room.accounts.administration.disable(someone.person.id, operator)
        if (isEnabled) await room.accounts.administration.enable(someone.person.id, operator)
        gate.open()

        expect(await refusalOf(login)).to.include({ code: 'invalid-credentials' })
        expect(await openSessionsOf(someone)).to.deep.equal([])
      }
    })

    it('keeps no session of a login that had opened it before and not yet read the person again', async () => {
      const someone = await room.aPerson()
      const gate = createGate()
      const slow = room.accountsWith({
        sessions: {
          ...room.sessions,
          async open(asked) {
            const opened = await room.sessions.open(asked)
            await gate.pass()
            return opened
          },
        },
      })
      const login = room.logIn(someone.person.email, password, slow)
      await gate.arrived
      await room.accounts.administration.disable(someone.person.id, operator)
      gate.open()

      expect(await refusalOf(login)).to.include({ code: 'invalid-credentials' })
      expect(await openSessionsOf(someone)).to.deep.equal([])
    })

    /** Of the two endings in Redis, the one after the commit: the session was not there before it. */
    it('keeps no session that was opened between its end in Redis and the commit', async () => {
      const someone = await room.aPerson()
      const opened: SignedIn[] = []
      let endings = 0
      const watched = room.accountsWith({
        sessions: {
          ...room.sessions,
          async endAll(userId, reason) {
            const ended = await room.sessions.endAll(userId, reason)
            if (++endings === 1) opened.push(await secondSession(someone))
            return ended
          },
        },
      })

      await watched.administration.disable(someone.person.id, operator)

      expect(await room.sessions.check(opened[0]!.pair.accessToken)).to.include({ kind: 'ended', reason: 'disabled' })
      expect(await openSessionsOf(someone)).to.deep.equal([])
    })

    it('gets no new tokens by a refresh that had been found good before', async () => {
      const someone = await room.aPerson()
      const gate = createGate()
      const refresh: Sessions['refresh'] = async (...asked) => {
        await gate.pass()
        return room.sessions.refresh(...asked)
      }
      const slow = room.accountsWith({ sessions: { ...room.sessions, refresh } })
      const refreshed = slow.refresh(someone.pair.refreshToken, client)
      await gate.arrived
      await room.accounts.administration.disable(someone.person.id, operator)
      gate.open()

      expect(await refusalOf(refreshed)).to.include({ code: 'invalid-refresh-token', reason: 'ended' })
      expect(await openSessionsOf(someone)).to.deep.equal([])
    })

    it('leaves no token alive that refreshes and logins at the same moment have got', async () => {
      for (let round = 0; round < 20; round++) {
        const someone = await room.aPerson()
        const outcomes = await Promise.allSettled([
          room.accounts.refresh(someone.pair.refreshToken, client),
          secondSession(someone),
          room.accounts.administration.disable(someone.person.id, operator),
          room.accounts.refresh(someone.pair.refreshToken, client),
          secondSession(someone),
        ])

        expect(outcomes[2].status).to.equal('fulfilled')
        for (const outcome of outcomes)
          if (outcome.status === 'fulfilled' && 'pair' in outcome.value)
            expect((await room.sessions.check(outcome.value.pair.accessToken)).kind).to.equal('ended')
        expect(await openSessionsOf(someone)).to.deep.equal([])
      }
    })

    it('brings nothing back when it is enabled: no session, not even one that Redis has got back, and no link', async () => {
      const someone = await room.aPerson()
      const email = someone.person.email
      const resetToken = (await mintedReset(someone))!
      const caller = { userId: someone.person.id, sessionId: someone.session.id, client }
      await room.accounts.change(caller, { email: `new-${email}`, currentPassword: password })
      const key = `${keyPrefix}sessions:{${someone.person.id}}`
      const asBefore = await room.redis.hgetall(key)
      await room.accounts.administration.disable(someone.person.id, operator)
      expect(await refusalOf(room.logIn(email))).to.include({ code: 'invalid-credentials' })

      const enabled = await room.accounts.administration.enable(someone.person.id, operator)

      expect(enabled).to.include({ disabledAt: null, pendingEmail: null })
      expect(await openSessionsOf(someone)).to.deep.equal([])
      await room.redis.hset(key, asBefore)
      expect(await refusalOf(room.accounts.refresh(someone.pair.refreshToken, client))).to.include({ reason: 'ended' })
      expect(await openSessionsOf(someone)).to.deep.equal([])
      const reset = room.accounts.resetPassword(resetToken, 'a quite different sentence', client)
      expect(await refusalOf(reset)).to.include({ code: 'invalid-reset-token' })
      expect((await room.logIn(email)).person.id).to.equal(someone.person.id)
    })

    it('is disabled since the first time, and ends what is open each time', async () => {
      const { person } = await room.aPerson()
      const first = await room.accounts.administration.disable(person.id, operator)
      room.clock.pass({ minutes: 1 })

      const second = await room.accounts.administration.disable(person.id, operator)

      expect(second.disabledAt).to.deep.equal(first.disabledAt)
      expect(second.sessionEpoch).to.be.greaterThan(first.sessionEpoch)
    })
  })

  describe('a role', () => {
    it('shows in the card in Redis at once, and stays there when a refresh under way brings an older one', async () => {
      const someone = await room.aPerson()
      const gate = createGate()
      const refresh: Sessions['refresh'] = async (...asked) => {
        await gate.pass()
        return room.sessions.refresh(...asked)
      }
      const refreshed = room
        .accountsWith({ sessions: { ...room.sessions, refresh } })
        .refresh(someone.pair.refreshToken, client)
      await gate.arrived

      const changed = await room.accounts.administration.edit(someone.person.id, { role: 'admin' }, operator)

      expect(changed.role).to.equal('admin')
      const roleNow = async (accessToken: string) => {
        const check = await room.sessions.check(accessToken)
        return check.kind === 'live' && check.card?.role
      }
      expect(await roleNow(someone.pair.accessToken)).to.equal('admin')
      gate.open()
      expect(await roleNow((await refreshed).pair.accessToken)).to.equal('admin')
    })
  })

  describe('the last admin', () => {
    /** Admins in a database of their own: who is the last one depends on everybody. */
    let own: AccountsRoom
    let admins: SignedIn[]
    let server: Knex
    const name = `latchkey_admins_${process.pid}`
    before(async () => {
      server = connectPostgres(databaseUrl())
      await server.raw('create database ??', [name])
      own = await openAccounts({ postgres: withDatabase(databaseUrl(), name) })
    })
    after(async () => {
      await own.close()
      await server.raw('drop database ?? with (force)', [name])
      await server.destroy()
    })
    beforeEach(async () => {
      await own.knex('users').delete()
      admins = [await own.aPerson(), await own.aPerson()]
      for (const { person } of admins) await own.accounts.administration.edit(person.id, { role: 'admin' }, operator)
    })

    const by = ({ person: { id } }: SignedIn): Actor => ({ ...operator, kind: 'admin', id })
    const whoActs = async () => own.knex('users').where({ role: 'admin', disabled_at: null }).pluck('id')
    const ways = {
      demoted: ({ person }: SignedIn, actor: Actor) =>
        own.accounts.administration.edit(person.id, { role: 'user' }, actor),
      disabled: ({ person }: SignedIn, actor: Actor) => own.accounts.administration.disable(person.id, actor),
      deleted: ({ person }: SignedIn, actor: Actor) => own.accounts.administration.remove(person.id, actor),
      'deleted by themselves': ({ person, session }: SignedIn) =>
        own.accounts.remove({ userId: person.id, sessionId: session.id, client }, password),
    }

    for (const [way, happen] of Object.entries(ways))
      it(`is not ${way}, and nothing has changed then`, async () => {
        const [last, other] = admins as [SignedIn, SignedIn]
        await own.accounts.administration.disable(other.person.id, operator)

        for (const actor of [by(last), operator])
          expect(await refusalOf(happen(last, actor))).to.include({ code: 'last-admin' })

        expect(await whoActs()).to.deep.equal([last.person.id])
        expect(await own.sessions.check(last.pair.accessToken)).to.include({ kind: 'live' })
        await own.accounts.administration.enable(other.person.id, operator)
        await happen(last, operator)
        expect(await whoActs()).to.deep.equal([other.person.id])
      })

    it('is one of two who disable, demote or delete each other or themselves at one moment', async function () {
      this.timeout(60_000)
      const all = Object.values(ways)
      for (let round = 0; round < 32; round++) {
        if (round > 0) {
          await own.knex('users').delete()
          admins = [await own.aPerson(), await own.aPerson()]
          for (const { person } of admins)
            await own.accounts.administration.edit(person.id, { role: 'admin' }, operator)
        }
        const [one, two] = admins as [SignedIn, SignedIn]
        const [first, second] = [all[round % 4]!, all[Math.floor(round / 4) % 4]!]

        const outcomes = await Promise.allSettled([
          first === ways['deleted by themselves'] ? first(one, operator) : first(two, by(one)),
          second === ways['deleted by themselves'] ? second(two, operator) : second(one, by(two)),
        ])

        for (const outcome of outcomes)
          if (outcome.status === 'rejected')
            expect(outcome.reason.code, String(outcome.reason.cause)).to.be.oneOf([
              'last-admin',
              'forbidden',
              'not-found',
              'wrong-password',
              'invalid-token',
            ])
        expect(await whoActs(), `round ${round}`).to.have.length(1)
      }
    })
  })

  it('lets admins who change each other at one moment wait, and none of them in vain', async () => {
    const admins = [await room.aPerson(), await room.aPerson(), await room.aPerson(), await room.aPerson()]
    for (const { person } of admins) await room.accounts.administration.edit(person.id, { role: 'admin' }, operator)

    const changes = Array.from({ length: 40 }, (_, i) => {
      const [one, other] = [admins[i % 4]!, admins[(i * 3 + 1) % 4]!]
      const actor: Actor = { ...operator, kind: 'admin', id: one.person.id }
      return room.accounts.administration.edit(other.person.id, { name: `Name ${i}` }, actor)
    })

    const refused = (await Promise.allSettled(changes)).filter(({ status }) => status === 'rejected')
    expect(refused).to.deep.equal([])
  })

  it('does nothing for an admin who has ceased to be one since they were asked about', async () => {
    const [someone, former] = [await room.aPerson(), await room.aPerson()]
    const actor: Actor = { ...operator, kind: 'admin', id: former.person.id }
    const { create, edit, remove, disable, enable, requestPasswordReset, read } = room.accounts.administration
    const before = await read(someone.person.id)
    const email = uniqueEmail()

    for (const attempt of [
      () => edit(someone.person.id, { name: 'Ada' }, actor),
      () => edit(former.person.id, { role: 'admin' }, actor),
      () => remove(someone.person.id, actor),
      () => disable(someone.person.id, actor),
      () => enable(someone.person.id, actor),
      () => requestPasswordReset(someone.person.id, actor),
      () => create({ email, role: 'admin' }, actor),
    ])
      expect(await refusalOf(attempt())).to.include({ code: 'forbidden' })

    expect(await room.knex('users').where({ email })).to.deep.equal([])
    expect(await noticesTo(someone)).to.deep.equal([])

    expect(await read(someone.person.id)).to.deep.equal(before)
    expect(await room.sessions.check(someone.pair.accessToken)).to.include({ kind: 'live' })
  })

  it('finds nobody under an id that nobody has', async () => {
    const { read, edit, remove, disable, enable, requestPasswordReset, sessions, endSessions, endSession } =
      room.accounts.administration
    for (const attempt of [
      read,
      (id: string) => edit(id, { role: 'admin' }, operator),
      (id: string) => remove(id, operator),
      (id: string) => disable(id, operator),
      (id: string) => enable(id, operator),
      (id: string) => requestPasswordReset(id, operator),
      sessions,
      (id: string) => endSessions(id, operator),
      (id: string) => endSession(id, randomUUID(), operator),
    ])
      expect(await refusalOf(attempt(randomUUID()))).to.include({ code: 'not-found' })
  })
})

describe('an ending with a store away', function () {
  this.timeout(40_000)
  let redis: OwnRedis
  let postgres: OwnPostgres
  let room: AccountsRoom
  before(async () => {
    redis = await ownRedis()
    postgres = await ownPostgres()
    room = await openAccounts({ postgres: postgres.url, redis: redis.url })
  })
  after(async () => {
    await room.close()
    await redis.discard()
    await postgres.discard()
  })

  for (const store of ['Redis', 'PostgreSQL'])
    it(`by disabling is unavailable and changes nothing while ${store} is away, and works when it is back`, async () => {
      const someone = await room.aPerson()
      const away = store === 'Redis' ? redis : postgres
      await away.kill()

      const refused = await refusalOf(room.accounts.administration.disable(someone.person.id, operator))

      expect(refused).to.include({ code: 'unavailable' })
      await away.start()
      await eventually(async () =>
        expect(await room.sessions.check(someone.pair.accessToken)).to.include({ kind: 'live' }),
      )
      const stored = await eventually(() => room.knex('users').where({ id: someone.person.id }).first())
      expect(stored).to.include({ disabled_at: null, session_epoch: 0 })
      expect((await room.accounts.administration.disable(someone.person.id, operator)).disabledAt).to.not.equal(null)
      expect(await room.sessions.check(someone.pair.accessToken)).to.include({ kind: 'ended', reason: 'disabled' })
    })

  it('does not lose the notice of a reused refresh token: it is queued when the ending can be written down', async () => {
    const someone = await room.aPerson()
    await room.accounts.refresh(someone.pair.refreshToken, client)
    room.clock.pass({ minutes: 1 })
    const reuse = () => refusalOf(room.accounts.refresh(someone.pair.refreshToken, client))
    await postgres.kill()

    expect(await reuse()).to.include({ code: 'unavailable' })
    await postgres.start()
    await eventually(async () => expect(await reuse()).to.include({ code: 'invalid-refresh-token', reason: 'reused' }))
    await reuse()

    const notices = room.knex('mails').where({ user_id: someone.person.id, kind: 'refresh-token-reused' })
    expect(await notices).to.have.length(1)
    const { items } = await room.audit.list({ userId: someone.person.id, event: 'session.refresh_reused' })
    expect(items).to.have.length(1)
  })

  it('by disabling is unavailable when Redis is lost between the two endings, and is confirmed when it is repeated', async () => {
    const someone = await room.aPerson()
    let endings = 0
    const losing = room.accountsWith({
      sessions: {
        ...room.sessions,
        async endAll(userId, reason) {
          if (++endings === 2) await redis.kill()
          return room.sessions.endAll(userId, reason)
        },
      },
    })

    expect(await refusalOf(losing.administration.disable(someone.person.id, operator))).to.include({
      code: 'unavailable',
    })
    await redis.start()
    const disabled = await eventually(() => room.accounts.administration.disable(someone.person.id, operator))
    expect(disabled.disabledAt).to.not.equal(null)
    expect(await room.sessions.check(someone.pair.accessToken)).to.include({ kind: 'ended', reason: 'disabled' })
  })
})
