import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { consequences } from '../../src/accounts/consequences.ts'
import type { SignedIn } from '../../src/accounts/index.ts'
import type { Sessions } from '../../src/sessions/index.ts'
import { client, createGate, openAccounts, operator, refusalOf, type AccountsRoom } from '../support/accounts.ts'
import { eventually } from '../support/eventually.ts'
import { ownPostgres, ownRedis, type OwnPostgres, type OwnRedis } from '../support/own-stores.ts'
import { password } from '../support/people.ts'
import { keyPrefix } from '../support/stores.ts'

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
    disable: ({ person }: SignedIn) => room.accounts.disable(person.id, operator),
    'role-change': ({ person }: SignedIn) => room.accounts.changeRole(person.id, 'admin', operator),
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

      await accounts.disable(user_id, operator)
      await accounts.disable(user_id, operator)

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
        const slow = room.accountsWith({
          passwords: {
            ...room.passwords,
            async verify(hash, text) {
              const right = await room.passwords.verify(hash, text)
              await gate.pass()
              return right
            },
          },
        })
        const login = room.logIn(someone.person.email, password, slow)
        await gate.arrived
        await room.accounts.disable(someone.person.id, operator)
        if (isEnabled) await room.accounts.enable(someone.person.id, operator)
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
      await room.accounts.disable(someone.person.id, operator)
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

      await watched.disable(someone.person.id, operator)

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
      await room.accounts.disable(someone.person.id, operator)
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
          room.accounts.disable(someone.person.id, operator),
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
      await room.accounts.disable(someone.person.id, operator)
      expect(await refusalOf(room.logIn(email))).to.include({ code: 'invalid-credentials' })

      const enabled = await room.accounts.enable(someone.person.id, operator)

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
      const first = await room.accounts.disable(person.id, operator)
      room.clock.pass({ minutes: 1 })

      const second = await room.accounts.disable(person.id, operator)

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

      const changed = await room.accounts.changeRole(someone.person.id, 'admin', operator)

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

  it('finds nobody under an id that nobody has', async () => {
    const { disable, enable, changeRole } = room.accounts
    for (const attempt of [disable, enable, (id: string, by: typeof operator) => changeRole(id, 'admin', by)])
      expect(await refusalOf(attempt(randomUUID(), operator))).to.include({ code: 'not-found' })
  })
})

describe('disabling an account with a store away', function () {
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
    it(`is unavailable and changes nothing while ${store} is away, and works when it is back`, async () => {
      const someone = await room.aPerson()
      const away = store === 'Redis' ? redis : postgres
      await away.kill()

      const refused = await refusalOf(room.accounts.disable(someone.person.id, operator))

      expect(refused).to.include({ code: 'unavailable' })
      await away.start()
      await eventually(async () =>
        expect(await room.sessions.check(someone.pair.accessToken)).to.include({ kind: 'live' }),
      )
      const stored = await eventually(() => room.knex('users').where({ id: someone.person.id }).first())
      expect(stored).to.include({ disabled_at: null, session_epoch: 0 })
      expect((await room.accounts.disable(someone.person.id, operator)).disabledAt).to.not.equal(null)
      expect(await room.sessions.check(someone.pair.accessToken)).to.include({ kind: 'ended', reason: 'disabled' })
    })

  it('is unavailable when Redis is lost between the two endings, and is confirmed when it is repeated', async () => {
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

    expect(await refusalOf(losing.disable(someone.person.id, operator))).to.include({ code: 'unavailable' })
    await redis.start()
    const disabled = await eventually(() => room.accounts.disable(someone.person.id, operator))
    expect(disabled.disabledAt).to.not.equal(null)
    expect(await room.sessions.check(someone.pair.accessToken)).to.include({ kind: 'ended', reason: 'disabled' })
  })
})
