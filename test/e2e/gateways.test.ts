import { randomUUID } from 'node:crypto'
import { METHODS } from 'node:http'
import { expect } from 'chai'
import { expectProblem, type Answer } from '../support/client.ts'
import { ownPostgres, ownRedis, type OwnPostgres, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, aSession, password, uniqueEmail, type Someone } from '../support/people.ts'
import { sendRaw, statusesOf } from '../support/raw.ts'
import { startService, type TestService } from '../support/service.ts'
import { keyPrefix, operatorsRedis } from '../support/stores.ts'

const sessionsOf = (userId: string) => `${keyPrefix}sessions:{${userId}}`

/** What a gateway is told, by header; null where the header is not there. */
function toldIn({ headers }: Answer) {
  const told = (name: string) => headers.get(`x-auth-${name}`)
  return {
    user: told('user'),
    email: told('email'),
    email_verified: told('email-verified'),
    username: told('username'),
    role: told('role'),
    session: told('session'),
  }
}

function whatIsSoOf({ id, email, tokens }: Someone, username = '') {
  return { user: id, email, email_verified: 'false', username, role: 'user', session: tokens.session.id }
}

describe('forward-auth', () => {
  let service: TestService
  before(async () => {
    service = await startService()
  })
  after(() => service.close())

  const ask = (token?: string, { path = '/forward-auth', method = 'GET' } = {}) =>
    service.client.call(method, path, { token })

  it('tells a gateway who the bearer of a live access token is, in headers and with no body', async () => {
    const someone = await aPerson(service.client, { username: `U.${randomUUID().slice(0, 8)}` })

    const answer = await ask(someone.tokens.access_token)

    expect(answer.status).to.equal(200)
    expect(answer.text).to.equal('')
    expect(answer.headers.get('content-length')).to.equal('0')
    expect(answer.headers.get('content-type')).to.equal(null)
    expect(toldIn(answer)).to.deep.equal(whatIsSoOf(someone, someone.tokens.user['username'] as string))
  })

  it('tells of what there is nothing with an empty header, so that no forged one is left to stand', async () => {
    const someone = await aPerson(service.client)

    const answer = await service.client.call('GET', '/forward-auth', {
      token: someone.tokens.access_token,
      headers: { 'x-auth-username': 'root', 'x-auth-role': 'admin', 'x-auth-user': randomUUID() },
    })

    expect(toldIn(answer)).to.deep.equal(whatIsSoOf(someone))
  })

  it('takes every method there is', async () => {
    const { tokens } = await aPerson(service.client)
    for (const method of METHODS) {
      if (method === 'CONNECT') continue // not for a server that is no proxy: it ends before any route
      const head = `${method} /forward-auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`
      const good = await sendRaw(service.url, `${head}Authorization: Bearer ${tokens.access_token}\r\n\r\n`)
      expect(good.status, method).to.equal(200)
      expect(good.headers['x-auth-session'], method).to.equal(tokens.session.id)
      const none = await sendRaw(service.url, `${head}\r\n`)
      expect([none.status, none.headers['www-authenticate']], method).to.deep.equal([401, 'Bearer'])
    }
  })

  it('takes the path of the original request behind its own, whatever that is', async () => {
    const someone = await aPerson(service.client)
    const token = someone.tokens.access_token
    for (const path of ['/', '/orders/1?a=b&access_token=x', '/%zz', '/..%2f..', '//a//b/', '/%00'])
      expect(toldIn(await ask(token, { path: `/forward-auth${path}` })).user, path).to.equal(someone.id)
    expectProblem(await ask(undefined, { path: '/forward-auth/health/live' }), 401, 'authentication-required')
    expectProblem(await ask(token, { path: '/forward-authority' }), 404, 'not-found')
  })

  it('reads no body, of whatever kind and size, and lets the next request of the connection through', async () => {
    const { tokens } = await aPerson(service.client)
    const auth = `Host: x\r\nAuthorization: Bearer ${tokens.access_token}\r\n`
    const body = '{"not":"json'.repeat(20_000)
    const next = `GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`

    const first = `POST /forward-auth HTTP/1.1\r\n${auth}Content-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`
    expect(await statusesOf(service.url, first + body + next)).to.deep.equal([200, 200])
  })

  it('refuses as every route with a bearer does, and answers a preflight, which has no token, with 401', async () => {
    const { tokens } = await aPerson(service.client)
    await service.client.logout(tokens.access_token)

    expectProblem(await ask(tokens.access_token), 401, 'invalid-token', 'logged-out')
    expectProblem(await ask(tokens.refresh_token), 401, 'invalid-token', 'unknown')
    const preflight = await service.client.call('OPTIONS', '/forward-auth', {
      headers: { origin: 'https://app.example', 'access-control-request-method': 'PUT' },
    })
    expectProblem(preflight, 401, 'authentication-required')
    for (const name of ['user', 'email', 'role']) expect(preflight.headers.get(`x-auth-${name}`)).to.equal(null)
    for (const headers of [{ cookie: `access_token=${tokens.access_token}` }, { 'x-forwarded-user': 'root' }])
      expectProblem(await service.client.call('GET', '/forward-auth', { headers }), 401, 'authentication-required')
  })

  it('shows a change of the person with the next answer', async () => {
    const { client } = service
    const someone = await aPerson(client)
    const token = someone.tokens.access_token
    const username = `n.${randomUUID().slice(0, 8)}`

    await client.call('PATCH', '/v1/me', { token, body: { username } })
    expect(toldIn(await ask(token))).to.include({ username })
    await client.call('PATCH', '/v1/me', { token, body: { username: null } })
    expect(toldIn(await ask(token))).to.include({ username: '' })
  })

  describe('when the card beside the sessions was lost or damaged by hand', () => {
    const damages: Record<string, string | null> = {
      'is gone': null,
      'is no JSON': '[',
      'is something else': 'null',
      'names nobody': '{}',
      'has an address of another type': '{"email":5,"verified":true,"role":"admin","updated_at":1}',
      'would break a header': '{"email":"a@b.c\\r\\nX-Auth-Role: admin","verified":true,"role":"user","updated_at":1}',
      'is not in ASCII': '{"email":"ä@b.c","verified":true,"role":"user","updated_at":1}',
      'has an empty role': '{"email":"a@b.c","verified":true,"role":"","updated_at":1}',
    }
    for (const [what, card] of Object.entries(damages))
      it(`tells what PostgreSQL knows, where it ${what}`, async () => {
        const someone = await aPerson(service.client)
        const redis = operatorsRedis()
        await (card === null
          ? redis.hdel(sessionsOf(someone.id), 'user')
          : redis.hset(sessionsOf(someone.id), 'user', card))

        const answer = await ask(someone.tokens.access_token)

        expect(answer.status).to.equal(200)
        expect(toldIn(answer)).to.deep.equal(whatIsSoOf(someone))
      })

    it('has a whole one again with the next refresh', async () => {
      const someone = await aPerson(service.client)
      await operatorsRedis().hset(sessionsOf(someone.id), 'user', '{"role":"admin"}')

      await service.client.refresh(someone.tokens.refresh_token)

      const card = await operatorsRedis().hget(sessionsOf(someone.id), 'user')
      expect(JSON.parse(card!)).to.include({ email: someone.email })
    })
  })

  describe('when a store is away', () => {
    let [redis, postgres]: [OwnRedis?, OwnPostgres?] = []
    let fragile: TestService
    before(async function () {
      this.timeout(60_000)
      redis = await ownRedis()
      postgres = await ownPostgres()
      fragile = await startService({ REDIS_URL: redis.url, DATABASE_URL: postgres.url })
      await fragile.migrated
    })
    after(async () => {
      await fragile.close()
      await redis?.discard()
      await postgres?.discard()
    })

    it('needs no PostgreSQL, unless there is no card', async () => {
      const email = uniqueEmail()
      await fragile.client.register({ email, password })
      const { access_token, user } = (await fragile.client.login({ email, password })).body
      await postgres!.kill()

      const askFragile = () => fragile.client.call('GET', '/forward-auth', { token: access_token })
      expect(toldIn(await askFragile()).email).to.equal(email)
      await redis!.operator().hdel(sessionsOf(user.id), 'user')
      expectProblem(await askFragile(), 503, 'unavailable')

      await postgres!.start()
    })

    it('is 503 without Redis, never 401', async () => {
      await redis!.kill()

      const answer = await fragile.client.call('GET', '/forward-auth', { token: randomUUID() })

      expectProblem(answer, 503, 'unavailable')
      expect(Number(answer.headers.get('retry-after'))).to.be.greaterThan(0)
    })
  })

  it('tells of each session of a person by its own id', async () => {
    const someone = await aPerson(service.client)
    const other = await aSession(service.client, someone)

    expect(toldIn(await ask(other.access_token)).session).to.equal(other.session.id)
    expect(toldIn(await ask(someone.tokens.access_token)).session).to.equal(someone.tokens.session.id)
  })
})
