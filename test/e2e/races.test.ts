import { expect } from 'chai'
import type { Tokens } from '../support/client.ts'
import { aPerson, aSession, password, uniqueEmail } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { ownDatabase } from '../support/stores.ts'
import { volley, type Shot } from '../support/volley.ts'

describe('at one instant, over two instances', () => {
  let one: TestService
  let two: TestService
  before(async () => {
    one = await startService()
    two = await startService({}, { clock: one.clock })
  })
  after(async () => {
    await one.close()
    await two.close()
  })

  const urlOf = (i: number) => (i % 2 === 0 ? one : two).url
  const times = (count: number, shot: (i: number) => Omit<Shot, 'url'>): Shot[] =>
    Array.from({ length: count }, (_, i) => ({ url: urlOf(i), ...shot(i) }))

  /** The sessions in the list and those whose tokens answer must be the same. */
  async function openSessionsOf(someone: { email: string }): Promise<string[]> {
    const { body } = await one.client.login({ email: someone.email, password })
    const { items } = (await two.client.sessions(body.access_token)).body
    await one.client.logout(body.access_token)
    return items.map(({ id }: { id: string }) => id).filter((id: string) => id !== body.session.id)
  }

  for (const count of [16, 1000])
    it(`F55 ${count} refreshes of one token leave one chain`, async function () {
      this.timeout(60_000)
      const someone = await aPerson(one.client)
      const { tokens } = someone

      const hits = await volley(
        times(count, () => ({ path: '/v1/auth/refresh', body: { refresh_token: tokens.refresh_token } })),
      )

      expect(hits.map(({ status }) => status)).to.deep.equal(hits.map(() => 200))
      expect(hits.filter(({ headers }) => !headers.includes('refresh-replayed')).length, 'winners').to.equal(1)
      expect(new Set(hits.map(({ body }) => `${body.access_token} ${body.refresh_token}`)).size, 'pairs').to.equal(1)
      const [{ body: pair }] = hits as [(typeof hits)[0]]
      expect((await two.client.me(pair.access_token)).status).to.equal(200)
      expect((await two.client.refresh(pair.refresh_token)).status).to.equal(200)
      expect(await openSessionsOf(someone)).to.deep.equal([tokens.session.id])
      expect((await one.client.logout(pair.access_token)).status).to.equal(204)
      expect((await two.client.refresh(pair.refresh_token)).status).to.equal(401)
      expect(await openSessionsOf(someone)).to.deep.equal([])
    })

  it('refreshes without a grace window leave at most one live pair, and reuse ends it', async () => {
    const database = await ownDatabase()
    const strict = await startService({ DATABASE_URL: database.url, SETTING_REFRESH_GRACE_SECONDS: '0' })
    await strict.migrated
    const { tokens } = await aPerson(strict.client)

    const hits = await volley(
      Array.from({ length: 16 }, () => ({
        url: strict.url,
        path: '/v1/auth/refresh',
        body: { refresh_token: tokens.refresh_token },
      })),
    )

    const won = hits.filter(({ status }) => status === 200)
    expect(won.length).to.equal(1)
    expect(hits.filter(({ status }) => status === 401).length).to.equal(15)
    expect((await strict.client.me(won[0]!.body.access_token)).body.reason).to.equal('reused')
    await strict.close()
    await database.drop()
  })

  it('refreshes under a logout-all leave nothing alive', async function () {
    this.timeout(60_000)
    for (let round = 0; round < 20; round++) {
      const someone = await aPerson(one.client)
      const others = [await aSession(one.client, someone), await aSession(two.client, someone)]
      const shots = times(24, (i) => ({
        path: '/v1/auth/refresh',
        body: { refresh_token: [someone.tokens, ...others][i % 3]!.refresh_token },
      }))
      shots.splice(round, 0, {
        url: urlOf(round),
        path: '/v1/auth/logout-all',
        token: someone.tokens.access_token,
      })

      const hits = await volley(shots)

      const [ended] = hits.splice(round, 1)
      expect(ended!.status).to.equal(200)
      for (const { status, body } of hits) {
        expect(status).to.be.oneOf([200, 401])
        if (status === 200) {
          expect((await two.client.me(body.access_token)).status).to.equal(401)
          expect((await one.client.refresh(body.refresh_token)).status).to.equal(401)
        }
      }
      expect(await openSessionsOf(someone)).to.deep.equal([])
    }
  })

  it('a refresh under a logout leaves nothing alive', async () => {
    for (let round = 0; round < 20; round++) {
      const someone = await aPerson(one.client)
      const { tokens } = someone
      const [ended, ...refreshed] = await volley([
        { url: urlOf(round), path: '/v1/auth/logout', token: tokens.access_token },
        ...times(4, () => ({ path: '/v1/auth/refresh', body: { refresh_token: tokens.refresh_token } })),
      ])

      expect(ended!.status).to.equal(204)
      for (const { status, body } of refreshed)
        if (status === 200) expect((await one.client.me(body.access_token)).status).to.equal(401)
      expect(await openSessionsOf(someone)).to.deep.equal([])
    }
  })

  it('F58 logins around a logout-all leave only sessions that are in the list, and a second one ends them', async function () {
    this.timeout(60_000)
    for (let round = 0; round < 10; round++) {
      const someone = await aPerson(one.client)
      const shots = times(12, () => ({ path: '/v1/auth/login', body: { email: someone.email, password } }))
      shots.splice(round, 0, {
        url: urlOf(round),
        path: '/v1/auth/logout-all',
        token: someone.tokens.access_token,
      })

      const hits = await volley(shots)

      const [ended] = hits.splice(round, 1)
      expect(ended!.status).to.equal(200)
      const alive: string[] = []
      for (const { status, body } of hits) {
        expect(status, JSON.stringify(body)).to.be.oneOf([200, 401])
        if (status === 200 && (await two.client.me(body.access_token)).status === 200) alive.push(body.session.id)
      }
      expect(await openSessionsOf(someone)).to.have.members(alive)
      const last = await aSession(one.client, someone)
      await one.client.logoutAll(last.access_token)
      for (const { status, body } of hits)
        if (status === 200) expect((await two.client.me(body.access_token)).status).to.equal(401)
    }
  })

  it('F57 100 registrations of one address in different spellings make one account', async function () {
    this.timeout(60_000)
    const email = uniqueEmail()
    const spellings = [email, email.toUpperCase(), email.replace('example.com', 'EXAMPLE.Com')]

    const hits = await volley(
      times(100, (i) => ({
        path: '/v1/auth/register',
        body: { email: spellings[i % 3], password: `${password} ${i}` },
      })),
    )

    const made = hits.map(({ status }, i) => (status === 201 ? i : -1)).filter((i) => i >= 0)
    expect(made).to.have.length(1)
    expect(hits.filter(({ status, body }) => status === 409 && body.code === 'email-taken')).to.have.length(99)
    for (const i of [made[0]!, (made[0]! + 1) % 100])
      expect((await one.client.login({ email, password: `${password} ${i}` })).status).to.equal(
        i === made[0] ? 200 : 401,
      )
  })

  it('logins keep the cap on sessions', async () => {
    const capped = await startService({ SETTING_SESSIONS_PER_USER_MAX: '5' })
    const someone = await aPerson(capped.client)

    const hits = await volley(
      Array.from({ length: 20 }, () => ({
        url: capped.url,
        path: '/v1/auth/login',
        body: { email: someone.email, password },
      })),
    )

    expect(hits.every(({ status }) => status === 200)).to.equal(true)
    const pairs = [someone.tokens, ...hits.map(({ body }) => body as Tokens)]
    const answers = await Promise.all(pairs.map(({ access_token }) => capped.client.me(access_token)))
    expect(answers.filter(({ status }) => status === 200)).to.have.length(5)
    await capped.close()
  })

  it('changes of one person leave the card in Redis as PostgreSQL has the person', async () => {
    const someone = await aPerson(one.client)
    const token = someone.tokens.access_token
    await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        (i % 2 === 0 ? one : two).client.call('PATCH', '/v1/me', {
          token,
          body: { username: `card-${i}-${Date.now() % 1_000_000}` },
        }),
      ),
    )

    const { username } = (await one.client.me(token)).body
    expect((await two.client.protected(token)).body.message).to.include(`Hello, ${username}.`)
  })

  it('a use that is still to be noted never brings an ended session back', async function () {
    this.timeout(60_000)
    for (let round = 0; round < 30; round++) {
      const someone = await aPerson(one.client)
      one.clock.pass({ minutes: 2 })
      await Promise.all([
        ...Array.from({ length: 8 }, () => two.client.protected(someone.tokens.access_token)),
        one.client.logout(someone.tokens.access_token),
      ])
      expect((await two.client.me(someone.tokens.access_token)).status).to.equal(401)
      expect(await openSessionsOf(someone)).to.deep.equal([])
    }
  })
})
