import { randomUUID } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { firstAdmin } from '../support/admins.ts'
import { expectProblem, type Answer, type Tokens } from '../support/client.ts'
import { aServiceClient, basicOf, latchkey, type Credentials } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { readMails } from '../support/mailbox.ts'
import { ownPostgres, ownRedis } from '../support/own-stores.ts'
import { aPerson, aSession, password, uniqueEmail, type Someone } from '../support/people.ts'
import { sendRaw, statusesOf } from '../support/raw.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'
import { keyPrefix } from '../support/stores.ts'

const inactive = '{"active":false}'
const cliMs = 40_000

function introspectWith(service: TestService, { authorization }: { authorization: string }) {
  return (token: string, hint?: string): Promise<Answer> =>
    service.client.post('/oauth/introspect', {
      form: { token, ...(hint !== undefined && { token_type_hint: hint }) },
      headers: { authorization },
    })
}

const revokeAt = (service: TestService) => (form: Record<string, string> | string) =>
  service.client.post('/oauth/revoke', { form })

/** Expects the error of OAuth, in its form. */
function expectOauthError(answer: Answer, status: 400 | 401, error: string, description?: string): void {
  expect([answer.status, answer.body.error], answer.text).to.deep.equal([status, error])
  if (description !== undefined) expect(answer.body.error_description).to.equal(description)
}

describe('OAuth endpoints', function () {
  this.timeout(cliMs)
  let service: TestService
  let credentials: Credentials
  let introspect: ReturnType<typeof introspectWith>
  let revoke: ReturnType<typeof revokeAt>
  before(async () => {
    service = await startService({ PUBLIC_URL: 'https://auth.example/base/' })
    credentials = await aServiceClient()
    introspect = introspectWith(service, credentials)
    revoke = revokeAt(service)
    await eventually(async () => expect((await introspect(randomUUID())).status).to.equal(200))
  })
  after(() => service.close())

  describe('introspection', () => {
    it('tells a service whose a live access token is, since when and until when', async () => {
      const openedAt = Math.floor(service.clock.now() / 1000)
      const { id, email, tokens } = await aPerson(service.client, { username: `u.${randomUUID().slice(0, 8)}` })
      service.clock.pass({ minutes: 2 })
      const fresh = (await service.client.refresh(tokens.refresh_token)).body as Tokens

      const answer = await introspect(fresh.access_token)

      expect(answer.status).to.equal(200)
      expect(answer.headers.get('content-type')).to.equal('application/json; charset=utf-8')
      expect(answer.body).to.deep.equal({
        active: true,
        sub: id,
        sid: tokens.session.id,
        username: tokens.user['username'],
        email,
        email_verified: false,
        role: 'user',
        token_type: 'Bearer',
        iat: openedAt + 120,
        exp: openedAt + 120 + 900,
        auth_time: openedAt,
        iss: 'https://auth.example/base',
      })
    })

    it('tells of an access token from before a refresh its own times, for as long as it lives on', async () => {
      const { tokens } = await aPerson(service.client)
      const issuedAt = Math.floor(service.clock.now() / 1000)
      service.clock.pass({ minutes: 2 })
      await service.client.refresh(tokens.refresh_token)

      expect((await introspect(tokens.access_token)).body).to.include({ iat: issuedAt, exp: issuedAt + 120 + 30 })
      service.clock.pass({ seconds: 30 })
      expect((await introspect(tokens.access_token)).text).to.equal(inactive)
    })

    it('leaves out the username of somebody who has none', async () => {
      const { tokens } = await aPerson(service.client)

      expect((await introspect(tokens.access_token)).body).to.not.have.property('username')
    })

    it('finds the token whatever the hint says', async () => {
      const { tokens } = await aPerson(service.client)
      for (const hint of ['access_token', 'refresh_token', 'id_token', ''])
        expect((await introspect(tokens.access_token, hint)).body.active, hint).to.equal(true)
    })

    it('takes a refresh token for no access token, and changes nothing about it', async () => {
      const { tokens } = await aPerson(service.client)
      const next = (await service.client.refresh(tokens.refresh_token)).body as Tokens
      service.clock.pass({ minutes: 1 })
      for (const token of [tokens.refresh_token, next.refresh_token])
        for (const hint of [undefined, 'refresh_token', 'access_token'])
          expect((await introspect(token, hint)).text).to.equal(inactive)
      expect((await service.client.refresh(next.refresh_token)).status).to.equal(200)
    })

    it('says exactly the same of everything that is no live access token', async () => {
      for (const token of [randomUUID(), 'x', '__proto__', 'ü'.repeat(5_000), credentials.secret, '\0'])
        expect((await introspect(token)).text).to.equal(inactive)
    })

    it('answers a service without good credentials 401, and says nothing of the token', async () => {
      const { tokens } = await aPerson(service.client)
      const said = new Set<string>()
      for (const authorization of [
        undefined,
        'Basic',
        'Basic ',
        'Basic !',
        `Basic ${Buffer.from('no colon').toString('base64')}`,
        basicOf(credentials.id, 'wrong'),
        basicOf(randomUUID(), credentials.secret),
        basicOf(credentials.id, ''),
        basicOf('%', '%'),
        basicOf('', ''),
        basicOf('constructor', 'x'),
        basicOf(credentials.id, `${credentials.secret} `),
        basicOf(credentials.id, `${credentials.secret}:`),
        `${credentials.authorization} x`,
        `Bearer ${tokens.access_token}`,
        `Bearer ${credentials.secret}`,
        tokens.access_token,
      ])
        for (const token of [tokens.access_token, randomUUID()]) {
          const answer = await service.client.post('/oauth/introspect', {
            form: { token },
            headers: { ...(authorization !== undefined && { authorization }) },
          })
          expectOauthError(answer, 401, 'invalid_client')
          expect(answer.headers.get('www-authenticate')).to.equal('Basic realm="latchkey"')
          said.add(answer.text)
        }
      expect(said.size).to.equal(1)
      for (const form of [`token=x&client_id=${credentials.id}&client_secret=${credentials.secret}`, ''])
        expectOauthError(await service.client.post('/oauth/introspect', { form }), 401, 'invalid_client')
    })

    it('takes the scheme in any case, and credentials that are form-encoded', async () => {
      const encoded = Buffer.from(credentials.id).toString('hex').replaceAll(/../g, '%$&')
      for (const authorization of [
        credentials.authorization.replace('Basic', 'basic'),
        credentials.authorization.replace('Basic', 'BASIC  '),
        basicOf(encoded, credentials.secret),
      ])
        expect((await introspectWith(service, { authorization })(randomUUID())).text).to.equal(inactive)
    })

    it('limits wrong credentials by address, and lets right ones through all the same', async () => {
      const narrow = await startService({
        SETTING_WRONG_TOKENS_PER_ADDRESS_MAX: '2',
        KEY_PREFIX: `${keyPrefix}narrow:`,
      })
      const wrong = introspectWith(narrow, { authorization: basicOf(credentials.id, 'wrong') })

      for (let i = 0; i < 2; i++) expectOauthError(await wrong(randomUUID()), 401, 'invalid_client')
      const limited = await wrong(randomUUID())
      expectProblem(limited, 429, 'too-many-attempts')
      expect(limited.headers.get('retry-after')).to.match(/^\d+$/)
      expect((await introspectWith(narrow, credentials)(randomUUID())).text).to.equal(inactive)
      await narrow.close()
    })

    it('refuses a revoked client within a second, and lets a new one in as fast', async () => {
      const fresh = await aServiceClient()
      const ask = introspectWith(service, fresh)
      await eventually(async () => expect((await ask(randomUUID())).status).to.equal(200), 1000)

      expect((await latchkey(['clients', 'revoke', fresh.id])).code).to.equal(0)
      await eventually(async () => expectOauthError(await ask(randomUUID()), 401, 'invalid_client'), 1000)

      const used = (await latchkey(['clients', 'list', '--json'])).out
        .split('\n')
        .find((line) => line.includes(fresh.id))
      expect(JSON.parse(used!).last_used_at).to.equal(new Date(service.clock.now()).toISOString())
    })
  })

  describe('revocation', () => {
    it('ends the session by its access token, with both tokens, and no other session', async () => {
      const someone = await aPerson(service.client)
      const other = await aSession(service.client, someone)

      const answer = await revoke({ token: someone.tokens.access_token })

      expect([answer.status, answer.text]).to.deep.equal([200, ''])
      expectProblem(await service.client.me(someone.tokens.access_token), 401, 'invalid-token', 'logged-out')
      expectProblem(await service.client.refresh(someone.tokens.refresh_token), 401, 'invalid-refresh-token', 'ended')
      expect((await service.client.me(other.access_token)).status).to.equal(200)
    })

    for (const hint of [undefined, 'refresh_token', 'access_token', 'nonsense'])
      it(`ends it by its refresh token with the hint ${hint ?? 'left out'}`, async () => {
        const { tokens } = await aPerson(service.client)
        const form = { token: tokens.refresh_token, ...(hint !== undefined && { token_type_hint: hint }) }

        expect((await revoke(form)).status).to.equal(200)

        expect((await introspect(tokens.access_token)).text).to.equal(inactive)
        expectProblem(await service.client.refresh(tokens.refresh_token), 401, 'invalid-refresh-token', 'ended')
      })

    it('ends it by a spent refresh token and by an expired access token as well', async () => {
      for (const spent of ['refresh_token', 'access_token'] as const) {
        const { tokens } = await aPerson(service.client)
        const fresh = (await service.client.refresh(tokens.refresh_token)).body as Tokens
        service.clock.pass({ minutes: 1 })

        expect((await revoke({ token: tokens[spent] })).status).to.equal(200)

        expectProblem(await service.client.me(fresh.access_token), 401, 'invalid-token', 'logged-out')
      }
    })

    it('answers 200 with nothing for a token that is not known, and when it is repeated', async () => {
      const { tokens } = await aPerson(service.client)
      for (const token of [randomUUID(), 'x', tokens.access_token, tokens.access_token, tokens.refresh_token]) {
        const answer = await revoke({ token })
        expect([answer.status, answer.text]).to.deep.equal([200, ''])
      }
    })

    it('needs no credentials, and looks at none', async () => {
      const { tokens } = await aPerson(service.client)
      const stranger = await aPerson(service.client)

      const answer = await service.client.post('/oauth/revoke', {
        form: { token: tokens.access_token },
        headers: { authorization: `Bearer ${stranger.tokens.access_token}` },
      })

      expect(answer.status).to.equal(200)
      expect((await service.client.me(tokens.access_token)).status).to.equal(401)
      expect((await service.client.me(stranger.tokens.access_token)).status).to.equal(200)
    })
  })

  describe('a form', () => {
    const paths = ['/oauth/introspect', '/oauth/revoke']
    const post = (path: string, form: string, headers: Record<string, string> = {}) =>
      service.client.post(path, { form, headers: { authorization: credentials.authorization, ...headers } })

    it('has the token once, and no parameter twice', async () => {
      const { tokens } = await aPerson(service.client)
      const token = tokens.access_token
      for (const path of paths) {
        for (const form of [
          '',
          'token=',
          'token',
          'token_type_hint=access_token',
          `Token=${token}`,
          `?token=${token}`,
          `token[]=${token}`,
        ])
          expectOauthError(await post(path, form), 400, 'invalid_request', 'token is required')
        for (const form of [
          `token=${token}&token=${token}`,
          `token=&token=${token}`,
          `token=${token}&token=`,
          `token=${token}&%74oken=${token}`,
          `token=${token}&token_type_hint=a&token_type_hint=a`,
          `token=${token}&other=1&other=2`,
          `token=${token}&__proto__=1&__proto__=2`,
        ])
          expectOauthError(
            await post(path, form),
            400,
            'invalid_request',
            'Send one form in UTF-8, with no parameter twice.',
          )
      }
      expect((await service.client.me(token)).status).to.equal(200)
    })

    it('is UTF-8, however it is encoded', async () => {
      for (const path of paths)
        for (const form of ['token=%', 'token=%zz', 'token=%ff', 'token=%ED%A0%80', 'token=x&%ff=1'])
          expectOauthError(await post(path, form), 400, 'invalid_request')
      const head = `POST /oauth/revoke HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n`
      const bytes = Buffer.concat([Buffer.from(`${head}Content-Length: 8\r\n\r\ntoken=`), Buffer.from([0xff, 0xfe])])
      expect((await sendRaw(service.url, bytes)).status).to.equal(400)
    })

    it('may have parameters that are not known', async () => {
      const { tokens } = await aPerson(service.client)
      const form = `resource=https%3A%2F%2Fa.example&token=${tokens.access_token}&__proto__=x&constructor=`

      expect((await post('/oauth/introspect', form)).body.active).to.equal(true)
      expect((await post('/oauth/revoke', form)).status).to.equal(200)
    })

    it('is a form and nothing else, of 64 KiB at most, and not compressed', async () => {
      const token = randomUUID()
      for (const path of paths) {
        for (const headers of [
          { 'content-type': 'application/json' },
          { 'content-type': 'text/plain' },
          { 'content-type': 'multipart/form-data; boundary=x' },
          { 'content-type': 'application/x-www-form-urlencoded; charset=latin1' },
          { 'content-encoding': 'gzip' },
        ] as Record<string, string>[])
          expectProblem(await post(path, `token=${token}`, headers), 415, 'unsupported-media-type')
        expectProblem(await post(path, `token=${'x'.repeat(70_000)}`), 413, 'payload-too-large')
        const type = { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' }
        expect((await post(path, `token=${token}`, type)).status).to.equal(200)
        expectProblem(await service.client.get(`${path}?token=${token}`), 405, 'method-not-allowed')
      }
      const bomb = await fetch(`${service.url}/oauth/revoke`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-encoding': 'gzip' },
        body: gzipSync(Buffer.alloc(10_000_000, 'a')),
      })
      expect(bomb.status).to.equal(415)
    })

    it('that is refused does not stand in the way of the next request on its connection', async () => {
      const body = `token=${'x'.repeat(70_000)}`
      const head = 'HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n'
      const next = 'GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
      for (const [path, status] of [
        ['/oauth/revoke', 413],
        ['/oauth/introspect', 401],
      ] as const)
        expect(
          await statusesOf(service.url, `POST ${path} ${head}Content-Length: ${body.length}\r\n\r\n${body}${next}`),
        ).to.deep.equal([status, 200])
    })

    it('takes the token from the body, not from the URL', async () => {
      const { tokens } = await aPerson(service.client)
      const answer = await service.client.post(`/oauth/revoke?token=${tokens.access_token}`, { form: 'a=b' })

      expectOauthError(answer, 400, 'invalid_request', 'token is required')
      expect((await service.client.me(tokens.access_token)).status).to.equal(200)
    })
  })

  it('are named by the metadata of the server', async () => {
    const answer = await service.client.get('/.well-known/oauth-authorization-server')

    expect(answer.body).to.deep.equal({
      issuer: 'https://auth.example/base',
      introspection_endpoint: 'https://auth.example/base/oauth/introspect',
      introspection_endpoint_auth_methods_supported: ['client_secret_basic'],
      revocation_endpoint: 'https://auth.example/base/oauth/revoke',
      revocation_endpoint_auth_methods_supported: ['none'],
      response_types_supported: [],
      grant_types_supported: [],
    })
  })
})

/** A service on stores of its own, which may be harmed, and somebody who asks it about tokens. */
async function aFragileService(env: Record<string, string> = {}) {
  const [redis, postgres] = [await ownRedis(), await ownPostgres()]
  const stores = { ...env, DATABASE_URL: postgres.url, REDIS_URL: redis.url }
  const service = await startService({ ...stores, SETTING_SESSIONS_PER_USER_MAX: '3' })
  await service.migrated
  const introspect = introspectWith(service, await aServiceClient(stores))
  await eventually(async () => expect((await introspect(randomUUID())).status).to.equal(200))
  return {
    redis,
    postgres,
    stores,
    service,
    client: service.client,
    introspect,
    async close() {
      await service.close()
      await redis.discard()
      await postgres.discard()
    },
  }
}

type Fragile = Awaited<ReturnType<typeof aFragileService>>

describe('introspection and forward-auth', function () {
  this.timeout(60_000)
  let smtp: SmtpSink
  let fragile: Fragile
  let admin: Someone
  before(async () => {
    smtp = await startSmtp()
    fragile = await aFragileService(smtp.env)
    admin = await firstAdmin(fragile.client, fragile.stores)
  })
  after(async () => {
    await fragile.close()
    await smtp.stop()
  })

  /** Whether a token is live, as all three say; they must not differ. */
  async function isLive(token: string): Promise<boolean> {
    const { client, introspect } = fragile
    const live = (await client.me(token)).status === 200
    const [introspection, gateway] = [await introspect(token), await client.call('GET', '/forward-auth', { token })]
    expect(gateway.status, 'forward-auth').to.equal(live ? 200 : 401)
    if (live) expect(introspection.body.active).to.equal(true)
    else expect(introspection.text).to.equal(inactive)
    return live
  }

  async function asAdmin(method: string, path: string, body?: unknown): Promise<void> {
    const { access_token: token } = await aSession(fragile.client, admin)
    const options = { token, ...(body !== undefined && { body }) }
    const answer = await fragile.client.call(method, `/v1/admin${path}`, options)
    expect(answer.status, answer.text).to.be.within(200, 204)
  }

  const sessionsOf = ({ id }: Someone) => `${keyPrefix}sessions:{${id}}`
  const post = (path: string, { tokens }: Someone, body?: unknown) =>
    fragile.client.post(path, { token: tokens.access_token, ...(body !== undefined && { body }) })

  /** What happens to a session, and whether it and the person's other one live on. */
  const endings: Record<string, { lives: [mine: boolean, other: boolean]; act: (mine: Someone) => Promise<unknown> }> =
    {
      'a logout': { lives: [false, true], act: (mine) => post('/v1/auth/logout', mine) },
      'a logout by refresh token': {
        lives: [false, true],
        act: ({ tokens }) => fragile.client.post('/v1/auth/logout', { body: { refresh_token: tokens.refresh_token } }),
      },
      'a logout everywhere': { lives: [false, false], act: (mine) => post('/v1/auth/logout-all', mine) },
      'a revocation by access token': {
        lives: [false, true],
        act: ({ tokens }) => revokeAt(fragile.service)({ token: tokens.access_token }),
      },
      'a revocation by refresh token': {
        lives: [false, true],
        act: ({ tokens }) => revokeAt(fragile.service)({ token: tokens.refresh_token }),
      },
      'the end of this session by its id': {
        lives: [false, true],
        act: ({ tokens }) =>
          fragile.client.call('DELETE', `/v1/sessions/${tokens.session.id}`, { token: tokens.access_token }),
      },
      'the end of all others': { lives: [true, false], act: (mine) => post('/v1/sessions/revoke-others', mine) },
      'a new pair': { lives: [false, true], act: (mine) => post('/v1/auth/tokens', mine) },
      'a changed password': {
        lives: [false, false],
        act: (mine) =>
          post('/v1/me/password', mine, { current_password: password, new_password: 'a quite different sentence' }),
      },
      'a reset password': {
        lives: [false, false],
        async act(mine) {
          const token = await readMails(smtp).aResetToken(fragile.client, mine)
          return fragile.client.post('/v1/auth/reset-password', {
            body: { token, new_password: 'a quite different sentence' },
          })
        },
      },
      'a deleted account': {
        lives: [false, false],
        act: ({ tokens }) =>
          fragile.client.call('DELETE', '/v1/me', {
            token: tokens.access_token,
            body: { current_password: password },
          }),
      },
      'the reuse of a refresh token': {
        lives: [false, true],
        async act({ tokens }) {
          const next = (await fragile.client.refresh(tokens.refresh_token)).body as Tokens
          const last = (await fragile.client.refresh(next.refresh_token)).body as Tokens
          expect(await isLive(last.access_token)).to.equal(true)
          await fragile.client.refresh(tokens.refresh_token)
          expect(await isLive(last.access_token)).to.equal(false)
        },
      },
      'a refresh, after the grace window': {
        lives: [false, true],
        async act({ tokens }) {
          const next = (await fragile.client.refresh(tokens.refresh_token)).body as Tokens
          expect(await isLive(tokens.access_token)).to.equal(true)
          fragile.service.clock.pass({ seconds: 30 })
          expect(await isLive(next.access_token)).to.equal(true)
        },
      },
      'a session over the cap': {
        lives: [false, true],
        async act(mine) {
          fragile.service.clock.pass({ seconds: 1 })
          await aSession(fragile.client, mine)
          await aSession(fragile.client, mine)
        },
      },
      'a disabled account': {
        lives: [false, false],
        act: ({ id }) => asAdmin('POST', `/users/${id}/disable`),
      },
      'an account that was disabled and enabled': {
        lives: [false, false],
        async act({ id }) {
          await asAdmin('POST', `/users/${id}/disable`)
          await asAdmin('POST', `/users/${id}/enable`)
        },
      },
      'an account deleted by an admin': { lives: [false, false], act: ({ id }) => asAdmin('DELETE', `/users/${id}`) },
      'the end of one session by an admin': {
        lives: [false, true],
        act: ({ id, tokens }) => asAdmin('DELETE', `/sessions/${id}/${tokens.session.id}`),
      },
      'the end of all sessions by an admin': {
        lives: [false, false],
        act: ({ id }) => asAdmin('DELETE', `/users/${id}/sessions`),
      },
      'the end of all sessions by an operator': {
        lives: [false, false],
        act: ({ email }) => latchkey(['sessions', 'revoke-user', email], fragile.stores),
      },
      'another role': { lives: [true, true], act: ({ id }) => asAdmin('PATCH', `/users/${id}`, { role: 'admin' }) },
      'HDEL by hand': {
        lives: [false, true],
        act: (mine) => fragile.redis.operator().hdel(sessionsOf(mine), mine.tokens.session.id),
      },
      'DEL by hand': { lives: [false, false], act: (mine) => fragile.redis.operator().del(sessionsOf(mine)) },
      'a session that somebody has damaged': {
        lives: [false, true],
        act: (mine) => fragile.redis.operator().hset(sessionsOf(mine), mine.tokens.session.id, '{'),
      },
      'an account that is gone from PostgreSQL, and a card that is gone as well': {
        lives: [false, false],
        async act(mine) {
          await fragile.postgres.database.raw('delete from users where id = ?', [mine.id])
          await fragile.redis.operator().hdel(sessionsOf(mine), 'user')
        },
      },
      'the end of its life': {
        lives: [false, false],
        act: async () => fragile.service.clock.pass({ minutes: 15 }),
      },
    }

  for (const [event, { lives, act }] of Object.entries(endings))
    it(`say what /v1/me says after ${event}`, async () => {
      const mine = await aPerson(fragile.client)
      fragile.service.clock.pass({ seconds: 1 })
      const other = await aSession(fragile.client, mine)
      for (const { access_token } of [mine.tokens, other]) expect(await isLive(access_token)).to.equal(true)

      await act(mine)

      expect([await isLive(mine.tokens.access_token), await isLive(other.access_token)]).to.deep.equal(lives)
    })

  it('show another username and a confirmed address with the next answer', async () => {
    const { client, introspect } = fragile
    const someone = await aPerson(client)
    const token = someone.tokens.access_token
    const username = `n.${randomUUID().slice(0, 8)}`
    await client.call('PATCH', '/v1/me', { token, body: { username } })
    expect((await introspect(token)).body).to.include({ username, email_verified: false })

    const { mailTo } = readMails(smtp)
    const mail = await mailTo(someone.email, /^Confirm your e-mail/)
    const [, link] = /\?token=([\w-]+)/.exec(mail.text)!
    expect((await client.post('/v1/auth/verify-email', { body: { token: link } })).status).to.equal(200)

    expect((await introspect(token)).body).to.include({ username, email_verified: true })
    const { headers } = await client.call('GET', '/forward-auth', { token })
    expect([headers.get('x-auth-username'), headers.get('x-auth-email-verified')]).to.deep.equal([username, 'true'])
  })

  it('show another role and another address with the next answer', async () => {
    const { client, introspect } = fragile
    const someone = await aPerson(client)
    const token = someone.tokens.access_token
    const email = uniqueEmail()
    await asAdmin('PATCH', `/users/${someone.id}`, { role: 'admin' })
    expect((await introspect(token)).body).to.include({ role: 'admin', email: someone.email })

    await client.call('PATCH', '/v1/me', { token, body: { email, current_password: someone.password } })
    const mail = await readMails(smtp).mailTo(email, /^Confirm your new/)
    const [, link] = /\?token=([\w-]+)/.exec(mail.text)!
    expect((await client.post('/v1/auth/verify-email', { body: { token: link } })).status).to.equal(200)

    expect((await introspect(token)).body).to.include({ role: 'admin', email })
    const { headers } = await client.call('GET', '/forward-auth', { token })
    expect([headers.get('x-auth-role'), headers.get('x-auth-email')]).to.deep.equal(['admin', email])
    expect((await client.me(token)).body).to.include({ role: 'admin', email })
  })
})

describe('with a store away', function () {
  this.timeout(90_000)
  let fragile: Fragile
  beforeEach(async () => {
    fragile = await aFragileService()
  })
  afterEach(() => fragile.close())

  const isUnavailable = (answer: Answer) => {
    expectProblem(answer, 503, 'unavailable')
    expect(answer.headers.get('retry-after')).to.match(/^[1-9]\d*$/)
  }

  it('introspection and revocation are 503 while it is Redis, for good tokens and unknown ones', async () => {
    const { tokens } = await aPerson(fragile.client)
    await fragile.redis.kill()

    for (const token of [tokens.access_token, randomUUID()]) {
      isUnavailable(await fragile.introspect(token))
      isUnavailable(await revokeAt(fragile.service)({ token }))
    }

    await fragile.redis.start()
    await eventually(async () => expect((await fragile.introspect(tokens.access_token)).body.active).to.equal(true))
  })

  for (const kind of ['access_token', 'refresh_token'] as const)
    it(`a revocation by ${kind} is 503 until PostgreSQL has it, and the token is dead at once`, async () => {
      const { tokens } = await aPerson(fragile.client)
      const revoke = () => revokeAt(fragile.service)({ token: tokens[kind] })
      await fragile.postgres.kill()

      for (let i = 0; i < 3; i++) isUnavailable(await revoke())
      expect((await fragile.introspect(tokens.access_token)).text).to.equal(inactive)

      await fragile.postgres.start()
      await eventually(async () => expect((await revoke()).status).to.equal(200), 15_000)
      const rows = await fragile.postgres.database('session_endings').where({ session_id: tokens.session.id })
      expect(rows.map(({ reason }: { reason: string }) => reason)).to.deep.equal(['logged-out'])
    })

  it('introspection needs no PostgreSQL', async () => {
    const { tokens } = await aPerson(fragile.client)
    await fragile.postgres.kill()

    expect((await fragile.introspect(tokens.access_token)).body.active).to.equal(true)
  })

  it('credentials are neither good nor wrong before they were read once', async () => {
    const unready = await startService({ DATABASE_URL: 'postgres://127.0.0.1:1/none', REDIS_URL: fragile.redis.url })

    const ask = introspectWith(unready, { authorization: basicOf(randomUUID(), 'secret') })
    await eventually(async () => isUnavailable(await ask(randomUUID())))
    await unready.close()
  })
})
