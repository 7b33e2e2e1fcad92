import { expect } from 'chai'
import { expectProblem } from '../support/client.ts'
import { aPerson, aSession } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { ownDatabase } from '../support/stores.ts'

describe('a refresh', () => {
  let service: TestService
  beforeEach(async () => {
    service = await startService()
  })
  afterEach(() => service.close())

  it('gives the same session a new pair', async () => {
    const { client } = service
    const { tokens } = await aPerson(client)

    const answer = await client.refresh(tokens.refresh_token)

    expect(answer.status).to.equal(200)
    expect(answer.headers.get('refresh-replayed')).to.equal(null)
    expect(answer.body.session.id).to.equal(tokens.session.id)
    expect(answer.body.access_token).to.not.equal(tokens.access_token)
    expect(answer.body.refresh_token).to.not.equal(tokens.refresh_token)
    expect((await client.me(answer.body.access_token)).status).to.equal(200)
    expect((await client.sessions(answer.body.access_token)).body.items).to.have.length(1)
  })

  it('lets the old access token finish what is under way, and no longer', async () => {
    const { client, clock } = service
    const { tokens } = await aPerson(client)
    await client.refresh(tokens.refresh_token)

    expect((await client.me(tokens.access_token)).status).to.equal(200)
    clock.pass({ seconds: 31 })
    expectProblem(await client.me(tokens.access_token), 401, 'invalid-token', 'expired')
  })

  it('moves the idle end of the session and never its absolute end', async () => {
    const { client, clock } = service
    const { tokens } = await aPerson(client)
    let current = tokens
    for (let day = 0; day < 29; day += 6) {
      clock.pass({ days: 6 })
      const answer = await client.refresh(current.refresh_token)
      if (day + 6 >= 30) {
        expectProblem(answer, 401, 'invalid-refresh-token', 'expired')
        return
      }
      expect(answer.status).to.equal(200)
      expect(answer.body.session.expires_at).to.equal(tokens.session['expires_at'])
      expect(Date.parse(answer.body.session.idle_expires_at)).to.be.at.most(Date.parse(answer.body.session.expires_at))
      current = answer.body
    }
    expect.fail('the session outlived its absolute end')
  })

  it('comes too late after the idle life', async () => {
    const { client, clock } = service
    const { tokens } = await aPerson(client)

    clock.pass({ days: 7 })

    expectProblem(await client.refresh(tokens.refresh_token), 401, 'invalid-refresh-token', 'expired')
    expectProblem(await client.me(tokens.access_token), 401, 'invalid-token', 'idle')
  })

  describe('tried again within the grace window', () => {
    it('gets the same pair again', async () => {
      const { client, clock } = service
      const { tokens } = await aPerson(client)
      const first = await client.refresh(tokens.refresh_token)
      clock.pass({ seconds: 29 })

      const again = await client.refresh(tokens.refresh_token)

      expect(again.status).to.equal(200)
      expect(again.headers.get('refresh-replayed')).to.equal('true')
      expect(again.body.access_token).to.equal(first.body.access_token)
      expect(again.body.refresh_token).to.equal(first.body.refresh_token)
      expect(again.body.expires_in).to.equal(871)
      expect((await client.refresh(again.body.refresh_token)).status).to.equal(200)
    })

    it('is reuse once the successor was spent', async () => {
      const { client } = service
      const { tokens } = await aPerson(client)
      const second = await client.refresh(tokens.refresh_token)
      const third = await client.refresh(second.body.refresh_token)

      expectProblem(await client.refresh(tokens.refresh_token), 401, 'invalid-refresh-token', 'reused')
      expectProblem(await client.me(third.body.access_token), 401, 'invalid-token', 'reused')
    })

    it('is reuse where the grace is 0', async () => {
      const database = await ownDatabase()
      const strict = await startService({ DATABASE_URL: database.url, SETTING_REFRESH_GRACE_SECONDS: '0' })
      await strict.migrated
      const { tokens } = await aPerson(strict.client)
      await strict.client.refresh(tokens.refresh_token)

      expectProblem(await strict.client.me(tokens.access_token), 401, 'invalid-token', 'expired')
      expectProblem(await strict.client.refresh(tokens.refresh_token), 401, 'invalid-refresh-token', 'reused')
      await strict.close()
      await database.drop()
    })
  })

  describe('with a spent token after the grace window', () => {
    it('ends the whole session, with both of its tokens, and no other', async () => {
      const { client, clock, logged } = service
      const someone = await aPerson(client)
      const other = await aSession(client, someone)
      const fresh = (await client.refresh(someone.tokens.refresh_token)).body
      clock.pass({ seconds: 31 })

      expectProblem(await client.refresh(someone.tokens.refresh_token), 401, 'invalid-refresh-token', 'reused')

      expectProblem(await client.me(fresh.access_token), 401, 'invalid-token', 'reused')
      expectProblem(await client.refresh(fresh.refresh_token), 401, 'invalid-refresh-token', 'reused')
      expect((await client.me(other.access_token)).status).to.equal(200)
      expect(logged.filter(({ event }) => event === 'session.refresh_reused')).to.have.length(1)
    })
  })

  it('is refused for text that was never a refresh token', async () => {
    const { client } = service
    const { tokens } = await aPerson(client)
    const wrong = [tokens.access_token, tokens.session.id, tokens.user.id, '', '%', '__proto__', 'x'.repeat(1000)]
    for (const text of wrong) expectProblem(await client.refresh(text), 401, 'invalid-refresh-token', 'unknown')
    expect((await client.me(tokens.access_token)).status).to.equal(200)
  })

  it('is refused after logout', async () => {
    const { client } = service
    const { tokens } = await aPerson(client)
    await client.logout(tokens.access_token)

    expectProblem(await client.refresh(tokens.refresh_token), 401, 'invalid-refresh-token', 'ended')
  })

  it('opens nothing with a refresh token as access token', async () => {
    const { client } = service
    const { tokens } = await aPerson(client)

    expectProblem(await client.me(tokens.refresh_token), 401, 'invalid-token', 'unknown')
  })
})

describe('a new pair by POST /v1/auth/tokens', () => {
  let service: TestService
  before(async () => {
    service = await startService()
  })
  after(() => service.close())

  it('leaves nothing of the old pair alive', async () => {
    const { client } = service
    const { tokens } = await aPerson(client)

    const answer = await client.post('/v1/auth/tokens', { token: tokens.access_token })

    expect(answer.status).to.equal(200)
    expect(answer.body.session.id).to.equal(tokens.session.id)
    expectProblem(await client.me(tokens.access_token), 401, 'invalid-token', 'expired')
    expect((await client.me(answer.body.access_token)).status).to.equal(200)
    expect((await client.refresh(answer.body.refresh_token)).status).to.equal(200)
  })

  it('makes the old refresh token a spent one', async () => {
    const { client } = service
    const { tokens } = await aPerson(client)
    const fresh = (await client.post('/v1/auth/tokens', { token: tokens.access_token })).body

    expectProblem(await client.refresh(tokens.refresh_token), 401, 'invalid-refresh-token', 'reused')
    expectProblem(await client.me(fresh.access_token), 401, 'invalid-token', 'reused')
  })
})
