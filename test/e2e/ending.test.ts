import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { expectProblem } from '../support/client.ts'
import { aPerson, aSession } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'

describe('ending sessions', () => {
  let service: TestService
  /** A second instance over the same stores. */
  let elsewhere: TestService
  before(async () => {
    service = await startService()
    elsewhere = await startService()
  })
  after(async () => {
    await service.close()
    await elsewhere.close()
  })

  describe('logout', () => {
    it('ends the session of the access token, on every instance, and no other', async () => {
      const { client } = service
      const someone = await aPerson(client)
      const other = await aSession(client, someone)

      const answer = await client.logout(someone.tokens.access_token)

      expect(answer.status).to.equal(204)
      expect(answer.text).to.equal('')
      expectProblem(await elsewhere.client.me(someone.tokens.access_token), 401, 'invalid-token', 'logged-out')
      expectProblem(await client.refresh(someone.tokens.refresh_token), 401, 'invalid-refresh-token', 'ended')
      expect((await elsewhere.client.me(other.access_token)).status).to.equal(200)
      expect((await client.sessions(other.access_token)).body.items).to.have.length(1)
    })

    it('is harmless when repeated', async () => {
      const { client } = service
      const { tokens } = await aPerson(client)
      await client.logout(tokens.access_token)

      expectProblem(await client.logout(tokens.access_token), 401, 'invalid-token', 'logged-out')
    })

    it('takes a refresh token in the body instead, also one that is dead or was never alive', async () => {
      const { client } = service
      const { tokens } = await aPerson(client)
      const logout = (refresh_token: unknown) => client.post('/v1/auth/logout', { body: { refresh_token } })

      expect((await logout(tokens.refresh_token)).status).to.equal(204)
      expectProblem(await client.me(tokens.access_token), 401, 'invalid-token', 'logged-out')
      expect((await logout(tokens.refresh_token)).status).to.equal(204)
      expect((await logout(randomUUID())).status).to.equal(204)
      expect((await logout('no token')).status).to.equal(204)
      expectProblem(await logout(7), 400, 'validation-failed')
    })

    it('takes a spent refresh token for its session as well', async () => {
      const { client } = service
      const { tokens } = await aPerson(client)
      const fresh = (await client.refresh(tokens.refresh_token)).body

      const answer = await client.post('/v1/auth/logout', { body: { refresh_token: tokens.refresh_token } })

      expect(answer.status).to.equal(204)
      expectProblem(await client.me(fresh.access_token), 401, 'invalid-token', 'logged-out')
    })

    it('ends the sessions of both tokens when two are shown', async () => {
      const { client } = service
      const someone = await aPerson(client)
      const other = await aSession(client, someone)

      const answer = await client.post('/v1/auth/logout', {
        token: someone.tokens.access_token,
        body: { refresh_token: other.refresh_token },
      })

      expect(answer.status).to.equal(204)
      expectProblem(await client.me(someone.tokens.access_token), 401, 'invalid-token', 'logged-out')
      expectProblem(await client.me(other.access_token), 401, 'invalid-token', 'logged-out')
    })

    it('needs one of the two', async () => {
      expectProblem(await service.client.post('/v1/auth/logout'), 401, 'authentication-required')
      expectProblem(await service.client.logout(randomUUID()), 401, 'invalid-token', 'unknown')
    })
  })

  describe('logout-all', () => {
    it('ends all sessions of the person on every instance, and nobody else’s', async () => {
      const { client } = service
      const someone = await aPerson(client)
      const others = [await aSession(client, someone), await aSession(elsewhere.client, someone)]
      const stranger = await aPerson(client)
      const refreshed = (await client.refresh(others[0]!.refresh_token)).body

      const answer = await client.logoutAll(someone.tokens.access_token)

      expect(answer.status).to.equal(200)
      expect(answer.body).to.deep.equal({ revoked: 3 })
      for (const { access_token } of [someone.tokens, ...others, refreshed])
        expectProblem(await elsewhere.client.me(access_token), 401, 'invalid-token', 'logged-out-everywhere')
      for (const { refresh_token } of [someone.tokens, ...others, refreshed])
        expectProblem(await client.refresh(refresh_token), 401, 'invalid-refresh-token', 'ended')
      expect((await client.me(stranger.tokens.access_token)).status).to.equal(200)
    })

    it('leaves the account open for a new login', async () => {
      const { client } = service
      const someone = await aPerson(client)
      await client.logoutAll(someone.tokens.access_token)

      const fresh = await aSession(client, someone)

      expect((await client.me(fresh.access_token)).status).to.equal(200)
      expect((await client.refresh(fresh.refresh_token)).status).to.equal(200)
    })
  })

  describe('revoking', () => {
    it('ends one other session by its id', async () => {
      const { client } = service
      const someone = await aPerson(client)
      const other = await aSession(client, someone)

      const answer = await client.call('DELETE', `/v1/sessions/${other.session.id}`, {
        token: someone.tokens.access_token,
      })

      expect(answer.status).to.equal(204)
      expectProblem(await elsewhere.client.me(other.access_token), 401, 'invalid-token', 'revoked')
      expect((await client.me(someone.tokens.access_token)).status).to.equal(200)
    })

    it('ends this session too, if it is named', async () => {
      const { client } = service
      const { tokens } = await aPerson(client)

      await client.call('DELETE', `/v1/sessions/${tokens.session.id}`, { token: tokens.access_token })

      expectProblem(await client.me(tokens.access_token), 401, 'invalid-token', 'revoked')
    })

    it('answers alike for a foreign session, a missing one and text that is no id', async () => {
      const { client } = service
      const { tokens } = await aPerson(client)
      const stranger = await aPerson(client)
      for (const id of [stranger.tokens.session.id, randomUUID(), 'user', '*', '%zz', 'a%2Fb'])
        expectProblem(
          await client.call('DELETE', `/v1/sessions/${id}`, { token: tokens.access_token }),
          404,
          'not-found',
        )
      expect((await client.me(stranger.tokens.access_token)).status).to.equal(200)
    })

    it('ends all others and keeps this one', async () => {
      const { client } = service
      const someone = await aPerson(client)
      const others = [await aSession(client, someone), await aSession(client, someone)]

      const answer = await client.post('/v1/sessions/revoke-others', { token: someone.tokens.access_token })

      expect(answer.body).to.deep.equal({ revoked: 2 })
      for (const { access_token } of others)
        expectProblem(await elsewhere.client.me(access_token), 401, 'invalid-token', 'revoked')
      expect((await client.me(someone.tokens.access_token)).status).to.equal(200)
      expect((await client.refresh(someone.tokens.refresh_token)).status).to.equal(200)
    })
  })
})
