import { expect } from 'chai'
import type { Tokens } from '../support/client.ts'
import { ownRedis, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, aSession, password, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { keyPrefix, operatorsRedis } from '../support/stores.ts'

const prefix = `${keyPrefix}told:`
const stream = `${prefix}revocations`

interface Entry {
  user: string
  session: string
  reason: string
  at: string
}

/** What the stream says of a person, oldest first. */
async function toldOf({ id }: Someone): Promise<Entry[]> {
  const entries = (await operatorsRedis().xrange(stream, '-', '+')).map(([, fields]) => {
    const pairs = fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]!]] : []))
    return Object.fromEntries(pairs) as Entry
  })
  return entries.filter(({ user }) => user === id)
}

describe('the stream of revocations', () => {
  let service: TestService
  before(async () => {
    service = await startService({ KEY_PREFIX: prefix, SETTING_SESSIONS_PER_USER_MAX: '2' })
  })
  after(() => service.close())

  const post = (path: string, { tokens }: Someone, body?: unknown) =>
    service.client.post(path, { token: tokens.access_token, ...(body !== undefined && { body }) })

  /** How sessions end, and of which of a person's two sessions the stream then tells what. */
  const endings: Record<string, { told: ['mine' | 'other', string][]; act: (mine: Someone) => Promise<unknown> }> = {
    'a logout': { told: [['mine', 'logged-out']], act: (mine) => post('/v1/auth/logout', mine) },
    'a logout everywhere, session by session': {
      told: [
        ['mine', 'logged-out-everywhere'],
        ['other', 'logged-out-everywhere'],
      ],
      act: (mine) => post('/v1/auth/logout-all', mine),
    },
    'a revocation by a service': {
      told: [['mine', 'logged-out']],
      act: ({ tokens }) => service.client.post('/oauth/revoke', { form: { token: tokens.refresh_token } }),
    },
    'the end of all others': {
      told: [['other', 'revoked']],
      act: (mine) => post('/v1/sessions/revoke-others', mine),
    },
    'a changed password': {
      told: [['other', 'password-changed']],
      act: (mine) => post('/v1/me/password', mine, { current_password: password, new_password: 'something different' }),
    },
    'a deleted account': {
      told: [
        ['mine', 'revoked'],
        ['other', 'revoked'],
      ],
      act: ({ tokens }) =>
        service.client.call('DELETE', '/v1/me', { token: tokens.access_token, body: { current_password: password } }),
    },
    'the reuse of a refresh token': {
      told: [['mine', 'reused']],
      async act({ tokens }) {
        const next = (await service.client.refresh(tokens.refresh_token)).body as Tokens
        await service.client.refresh(next.refresh_token)
        await service.client.refresh(tokens.refresh_token)
      },
    },
    'a session over the cap': {
      told: [['mine', 'evicted']],
      act: (mine) => aSession(service.client, mine),
    },
  }
  for (const [event, { told, act }] of Object.entries(endings))
    it(`tells of ${event}, before the answer`, async () => {
      const mine = await aPerson(service.client)
      service.clock.pass({ seconds: 1 })
      const other = await aSession(service.client, mine)

      await act(mine)

      const sessions = { mine: mine.tokens.session.id, other: other.session.id }
      const at = new Date(service.clock.now()).toISOString()
      expect(await toldOf(mine)).to.have.deep.members(
        told.map(([which, reason]) => ({ user: mine.id, session: sessions[which], reason, at })),
      )
    })

  it('says nothing of a session that has lapsed, nor of what ends nothing', async () => {
    const mine = await aPerson(service.client)
    await service.client.refresh(mine.tokens.refresh_token)
    await service.client.logout('no token')
    service.clock.pass({ days: 8 })
    await aSession(service.client, mine)

    expect(await toldOf(mine)).to.deep.equal([])
  })

  it('is kept for a day after the last entry, and at about 100000 entries', async () => {
    const redis = operatorsRedis()
    await redis.eval(
      `for i = 1, 101000 do redis.call('XADD', KEYS[1], '*', 'user', 'u', 'session', 's') end`,
      1,
      stream,
    )
    await redis.persist(stream)
    const mine = await aPerson(service.client)
    await service.client.logout(mine.tokens.access_token)

    expect(await redis.ttl(stream)).to.be.closeTo(86_400, 5)
    expect(await redis.xlen(stream)).to.be.closeTo(100_000, 200)
    expect(await toldOf(mine)).to.have.length(1)
  }).timeout(20_000)

  describe('that cannot be written', () => {
    let redis: OwnRedis
    let fragile: TestService
    before(async () => {
      redis = await ownRedis()
      fragile = await startService({ REDIS_URL: redis.url })
    })
    after(async () => {
      await fragile.close()
      await redis.discard()
    })

    const lost = () => fragile.logged.filter(({ event }) => event === 'revocations.lost')

    it('because Redis is full holds no ending up, and the log says so', async () => {
      const mine = await aPerson(fragile.client)
      await redis.operator().config('SET', 'maxmemory', '1')

      const answer = await fragile.client.logout(mine.tokens.access_token)

      await redis.operator().config('SET', 'maxmemory', '0')
      expect(answer.status).to.equal(204)
      expect((await fragile.client.me(mine.tokens.access_token)).status).to.equal(401)
      expect(lost()).to.have.length(1)
      expect(lost()[0]).to.include({ level: 'error', user_id: mine.id, count: 1 })
    })

    it('because its key is of another type does neither', async () => {
      const mine = await aPerson(fragile.client)
      await redis.operator().set(`${keyPrefix}revocations`, 'text')

      expect((await fragile.client.logout(mine.tokens.access_token)).status).to.equal(204)
      expect(lost()).to.have.length(2)
    })
  })
})
