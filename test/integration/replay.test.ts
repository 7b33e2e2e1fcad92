import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { client, openAccounts, operator, type AccountsRoom } from '../support/accounts.ts'
import { password } from '../support/people.ts'
import { keyPrefix, ownDatabase } from '../support/stores.ts'

const minute = 60_000

describe('telling Redis again what has ended', function () {
  this.timeout(30_000)

  let database: Awaited<ReturnType<typeof ownDatabase>>
  let room: AccountsRoom
  before(async () => {
    database = await ownDatabase()
    room = await openAccounts({ postgres: database.url })
  })
  after(async () => {
    await room.close()
    await database.drop()
  })

  const replay = (withinMs: number, told = new Set<string>(), seen: Set<string> | null = null) =>
    room.accounts.replay({ withinMs, told, concerns: () => true, seen })
  const setOf = (userId: string) => `${keyPrefix}sessions:{${userId}}`

  /** Has something done, and then gives Redis back what it had of somebody before that. */
  async function forgetting(userId: string, work: () => Promise<unknown>): Promise<void> {
    const before = await room.redis.hgetall(setOf(userId))
    await work()
    await room.redis.del(setOf(userId))
    await room.redis.hset(setOf(userId), before)
    await room.redis.expire(setOf(userId), 600)
  }

  const kindOf = async (accessToken: string) => (await room.sessions.check(accessToken)).kind

  const ways: Record<string, (userId: string, sessionId: string) => Promise<unknown>> = {
    'a logout': (userId, sessionId) => room.accounts.logOut({ userId, sessionId, client }),
    'a logout everywhere': (userId, sessionId) => room.accounts.logOutEverywhere({ userId, sessionId, client }),
    'a changed password': async (userId, sessionId) => {
      const { session } = await room.logIn((await room.accounts.administration.read(userId)).email)
      expect(session.id).to.not.equal(sessionId)
      await room.accounts.changePassword(
        { userId, sessionId: session.id, client },
        { currentPassword: password, newPassword: `${password} 2` },
      )
    },
    'disabling the account': (userId) => room.accounts.administration.disable(userId, operator),
    'deleting the account': (userId) => room.accounts.administration.remove(userId, operator),
  }
  for (const [way, end] of Object.entries(ways))
    it(`ends once more what ${way} has ended, and tells the bearer why`, async () => {
      const { pair, session } = await room.aPerson()
      await forgetting(session.userId, () => end(session.userId, session.id))
      expect(await kindOf(pair.accessToken)).to.equal('live')

      expect(await replay(minute)).to.equal(1)

      const reasons = ['logged-out', 'logged-out-everywhere', 'password-changed', 'disabled', 'revoked']
      const reason = reasons[Object.keys(ways).indexOf(way)]
      expect(await room.sessions.check(pair.accessToken)).to.include({ kind: 'ended', reason })
      expect(await replay(minute)).to.equal(0)
    })

  it('can count on PostgreSQL: an ending is written there before Redis is asked', async () => {
    const { session, pair } = await room.aPerson()
    const recorded = () => room.knex('session_endings').where({ session_id: session.id })
    let recordedBefore = 0
    const end: typeof room.sessions.end = async (...of) => {
      recordedBefore = (await recorded()).length
      return room.sessions.end(...of)
    }
    const accounts = room.accountsWith({ sessions: { ...room.sessions, end } })

    await accounts.logOut({ userId: session.userId, sessionId: session.id, client })

    expect(recordedBefore).to.equal(1)
    expect(await kindOf(pair.accessToken)).to.equal('ended')
  })

  it('leaves the sessions that were opened since', async () => {
    const { session, person } = await room.aPerson()
    await forgetting(session.userId, () =>
      room.accounts.logOutEverywhere({ ...session, sessionId: session.id, client }),
    )
    const later = await room.logIn(person.email)

    expect(await replay(minute)).to.equal(1)

    expect(await kindOf(later.pair.accessToken)).to.equal('live')
  })

  it('leaves out what this Redis was told before', async () => {
    const { session } = await room.aPerson()
    await forgetting(session.userId, () => room.accounts.logOut({ ...session, sessionId: session.id, client }))
    const told = new Set<string>()
    expect(await replay(minute, told)).to.equal(1)
    await room.redis.hset(setOf(session.userId), session.id, '{}')
    expect(told).to.include(session.id)

    expect(await replay(minute, told)).to.equal(0)

    expect(await room.redis.hexists(setOf(session.userId), session.id)).to.equal(1)
  })

  it('acts on the second look where nothing may be missing, since a change may be under way', async () => {
    const { session, pair } = await room.aPerson()
    await forgetting(session.userId, () =>
      room.accounts.logOutEverywhere({ ...session, sessionId: session.id, client }),
    )
    const [told, seen] = [new Set<string>(), new Set<string>()]

    expect(await replay(minute, told, seen)).to.equal(0)
    expect(await kindOf(pair.accessToken)).to.equal('live')

    expect(await replay(minute, told, seen)).to.equal(1)
    expect(await kindOf(pair.accessToken)).to.equal('ended')
  })

  it('says again who somebody is that was changed', async () => {
    const { session, pair } = await room.aPerson()
    await forgetting(session.userId, () =>
      room.accounts.administration.edit(session.userId, { role: 'admin' }, operator),
    )
    const role = async () => {
      const checked = await room.sessions.check(pair.accessToken)
      return checked.kind === 'live' && checked.card?.role
    }
    expect(await role()).to.equal('user')

    await replay(minute)

    expect(await role()).to.equal('admin')
  })

  it('goes back as far as it is asked to', async () => {
    const { pair, session } = await room.aPerson()
    await forgetting(session.userId, () => room.accounts.logOut({ ...session, sessionId: session.id, client }))
    room.clock.pass({ minutes: 2 })

    expect(await replay(minute)).to.equal(0)
    expect(await kindOf(pair.accessToken)).to.equal('live')
    expect(await replay(3 * minute)).to.equal(1)
  })

  it('comes to an end with more endings of one instant than it reads at once', async () => {
    const rows = (of: 'session_id' | 'user_id') =>
      Array.from({ length: 1200 }, () => ({
        ...(of === 'session_id' ? { session_id: randomUUID() } : { epoch: 1 }),
        user_id: randomUUID(),
        reason: 'revoked',
        [of === 'session_id' ? 'ended_at' : 'moved_at']: room.knex.raw("'2026-01-01 00:00:00.123456Z'"),
      }))
    await room.knex('session_endings').insert(rows('session_id'))
    await room.knex('session_epochs').insert(rows('user_id'))
    const { session } = await room.aPerson()
    await forgetting(session.userId, () => room.accounts.logOut({ ...session, sessionId: session.id, client }))
    await room
      .knex('session_endings')
      .where({ session_id: session.id })
      .update({
        ended_at: room.knex.raw("'2026-01-01 00:00:00.123456Z'"),
      })

    const since = room.clock.now() - Date.parse('2026-01-01T00:00:00Z')
    expect(await replay(since)).to.equal(1)
  })

  it('is forgotten when no session of that time can be left', async () => {
    const { session } = await room.aPerson()
    await room.accounts.logOutEverywhere({ ...session, sessionId: session.id, client })
    const epochs = () => room.knex('session_epochs').where({ user_id: session.userId })
    expect(await epochs()).to.have.length(1)

    await room.accounts.prune(new Date(room.clock.now() + 1))

    expect(await epochs()).to.have.length(0)
  })
})
