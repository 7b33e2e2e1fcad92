import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import net from 'node:net'
import { isDirect } from '../../src/http/direct.ts'
import { routes } from '../../src/http/index.ts'
import { takesBody } from '../../src/http/route.ts'
import { aServiceClient, basicOf, type Credentials } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { ownRedis } from '../support/own-stores.ts'
import { aPerson, aSession } from '../support/people.ts'
import { readAllOf, sendRaw, type RawAnswer } from '../support/raw.ts'
import { startService, type TestService } from '../support/service.ts'

interface Asked {
  method?: string
  headers?: Record<string, string>
  body?: string
}

const json = { 'Content-Type': 'application/json' }
const form = { 'Content-Type': 'application/x-www-form-urlencoded' }

/** What every session, every pair and every change has of its own. */
const minted = /"(id|session_id|access_token|refresh_token|updated_at)":"[^"]*"/g

/** An answer without what differs from one to the next. */
function lasting({ status, headers, body }: RawAnswer) {
  const { 'x-request-id': requestId, date, 'retry-after': retryAfter, ...others } = headers
  expect(requestId).to.match(/^[\da-f-]{36}$/)
  expect(date).to.match(/ GMT$/)
  return {
    status,
    headers: { ...others, ...(retryAfter !== undefined && { 'retry-after': 'some' }) },
    body: body
      .replaceAll(requestId!, 'id')
      .replaceAll(minted, '')
      .replaceAll(/"last_seen_at":"[^"]*"/g, ''),
  }
}

/** Asks the same twice: in the way that is answered without Koa, and with a question mark, which leads to Koa. */
async function ask({ url }: TestService, path: string, { method = 'GET', headers = {}, body = '' }: Asked) {
  const bytes = (target: string) =>
    [
      `${method} ${target} HTTP/1.1`,
      'Host: latchkey.test',
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      ...(/POST|PUT|PATCH|DELETE/.test(method) && !('Transfer-Encoding' in headers)
        ? [`Content-Length: ${Buffer.byteLength(body)}`]
        : []),
      '',
      body,
    ].join('\r\n')
  const direct = lasting(await sendRaw(url, bytes(path)))
  const byKoa = lasting(await sendRaw(url, bytes(`${path}?`)))
  return { direct, byKoa }
}

describe('a request that is answered without Koa', function () {
  this.timeout(60_000)
  let service: TestService
  let credentials: Credentials
  before(async () => {
    service = await startService()
    credentials = await aServiceClient()
    const probe = { method: 'POST', headers: { ...form, Authorization: credentials.authorization }, body: 'token=x' }
    await eventually(async () => expect((await ask(service, '/oauth/introspect', probe)).direct.status).to.equal(200))
  })
  after(() => service.close())

  async function expectSame(path: string, asked: Asked, status: number): Promise<void> {
    const { direct, byKoa } = await ask(service, path, asked)
    expect(direct, `${asked.method ?? 'GET'} ${path}`).to.deep.equal(byKoa)
    expect(direct.status, `${path}: ${direct.body}`).to.equal(status)
  }

  const forBearers = routes
    .filter((route) => isDirect(route) && route.auth === 'bearer' && /get|any/.test(route.method))
    .map(({ path }) => path)

  it('is one that asks with GET for what is the bearer’s', () => {
    expect(forBearers).to.include.members(['/forward-auth', '/v1/protected', '/v1/me', '/v1/sessions'])
  })

  for (const path of forBearers)
    it(`gets the same answer as the others: ${path}`, async () => {
      const { client } = service
      const person = await aPerson(client)
      const [live, loggedOut, spent] = [
        await aSession(client, person),
        await aSession(client, person),
        await aSession(client, person),
      ]
      await client.logout(loggedOut.access_token)
      const last = (await client.refresh(spent.refresh_token)).body as { access_token: string }
      const bearer = (token: string): Asked => ({ headers: { Authorization: `Bearer ${token}` } })

      await expectSame(path, bearer(live.access_token), 200)
      await expectSame(path, bearer(last.access_token), 200)
      await expectSame(path, { headers: { Authorization: `bEARER   ${live.access_token} ` } }, 200)
      await expectSame(path, bearer(loggedOut.access_token), 401)
      await expectSame(path, bearer(randomUUID()), 401)
      await expectSame(path, bearer('never a token'), 401)
      await expectSame(path, {}, 401)
      await expectSame(path, { headers: { Authorization: basicOf('a', 'b') } }, 401)
      for (const method of ['OPTIONS', 'TRACE', 'QUERY'])
        await expectSame(
          path,
          { ...bearer(live.access_token), method },
          path === '/forward-auth' ? 200 : method === 'OPTIONS' ? 204 : 405,
        )
      service.clock.pass({ minutes: 16 })
      await expectSame(path, bearer(live.access_token), 401)
    })

  for (const path of ['/oauth/introspect', '/oauth/revoke'])
    it(`gets the same answer as the others: POST ${path}`, async () => {
      const { client } = service
      const person = await aPerson(client)
      const { authorization } = credentials
      const post = (body: string, headers: Record<string, string> = {}): Asked => ({
        method: 'POST',
        headers: { ...form, Authorization: authorization, ...headers },
        body,
      })

      await expectSame(path, post(`token=${person.tokens.access_token}&token_type_hint=access_token`), 200)
      await expectSame(path, post(`token=${person.tokens.access_token}`), 200)
      await expectSame(path, post('token=nothing'), 200)
      await expectSame(path, post(''), 400)
      await expectSame(path, post('token=a&token=b'), 400)
      await expectSame(path, post('token=%zz'), 400)
      await expectSame(path, post('\uFEFFtoken=a'), 400)
      await expectSame(path, post('token=a&more=b'), 200)
      await expectSame(path, post('{"token":"a"}', { 'Content-Type': 'application/json' }), 415)
      await expectSame(path, post('token=a', { 'Content-Encoding': 'gzip' }), 415)
      await expectSame(path, post(`token=${'a'.repeat(70_000)}`), 413)
      await expectSame(path, post('7\r\ntoken=a\r\n0\r\n\r\n', { 'Transfer-Encoding': 'chunked' }), 200)
      await expectSame(path, post('0\r\n\r\n', { 'Transfer-Encoding': 'chunked' }), 400)
      await expectSame(
        path,
        post('token=a', { Authorization: basicOf('a', 'b') }),
        path.endsWith('introspect') ? 401 : 200,
      )
    })

  const takingJson = routes.filter((route) => isDirect(route) && takesBody(route) && !route.dialect)

  it('is one with JSON, too', () => {
    expect(takingJson.map(({ method, path }) => `${method} ${path}`)).to.include.members([
      'post /v1/auth/login',
      'post /v1/auth/refresh',
      'post /v1/auth/logout',
      'patch /v1/me',
    ])
  })

  for (const { method, path } of takingJson)
    it(`gets the same answer as the others to a body that will not do: ${method.toUpperCase()} ${path}`, async () => {
      const { tokens } = await aPerson(service.client)
      const sending = (body: string, headers: Record<string, string> = {}): Asked => ({
        method: method.toUpperCase(),
        headers: { ...json, Authorization: `Bearer ${tokens.access_token}`, ...headers },
        body,
      })
      const chunked = { 'Transfer-Encoding': 'chunked' }

      for (const malformed of [
        '{',
        '{}{}',
        '5',
        'null',
        '"text"',
        ' ',
        '\uFEFF{}',
        '{"a":"\uFFFD"}',
        '{"a":1,"a":2}',
        '{"a":{"b":1,"\\u0062":2}}',
        '{"__proto__":{}}',
        '{"\\u005f_proto__":1}',
        `${'['.repeat(17)}${']'.repeat(17)}`,
      ])
        await expectSame(path, sending(malformed), 400)
      await expectSame(path, sending('1\r\n{\r\n0\r\n\r\n', chunked), 400)
      await expectSame(path, sending('[]'), 400)
      await expectSame(path, sending(' \n{"nonsense":1,"constructor":{"prototype":{}}}'), 400)
      await expectSame(path, sending('e\r\n{"nonsense":1}\r\n0\r\n\r\n', chunked), 400)
      await expectSame(path, sending(`{"nonsense":"${'a'.repeat(70_000)}"}`), 413)
      await expectSame(path, sending('{}', { 'Content-Type': 'text/plain' }), 415)
      await expectSame(path, sending('{}', { 'Content-Type': 'application/json; charset=latin1' }), 415)
      await expectSame(path, sending('{}', { 'Content-Encoding': 'gzip' }), 415)
    })

  it('gets the same answer as the others to a body that will do', async () => {
    const { client } = service
    const person = await aPerson(client)
    const { email, password } = person
    const [live, one, other] = [person.tokens, await aSession(client, person), await aSession(client, person)]
    const post = (body: unknown, token?: string): Asked => ({
      method: 'POST',
      headers: { ...json, ...(token !== undefined && { Authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    })

    await expectSame('/v1/auth/login', post({ email, password, device_name: 'Ada’s phone' }), 200)
    await expectSame('/v1/auth/login', post({ email, password: 'not this one' }), 401)
    await expectSame('/v1/auth/forgot-password', post({ email }), 202)
    await expectSame('/v1/me', { ...post({ name: 'Ada' }, live.access_token), method: 'PATCH' }, 200)
    await client.refresh(live.refresh_token) // so that both are retries
    await expectSame('/v1/auth/refresh', post({ refresh_token: live.refresh_token }), 200)
    await expectSame('/v1/auth/refresh', post({ refresh_token: randomUUID() }), 401)
    const loggedOut = await Promise.all([
      ask(service, '/v1/auth/logout', post({}, one.access_token)),
      ask(service, '/v1/auth/logout', { ...post('', other.access_token), body: '' }),
    ])
    for (const { direct, byKoa } of loggedOut) expect([direct.status, byKoa.status]).to.deep.equal([204, 401])
  })

  it('gets its answer whole and in its turn when many come in one piece', async () => {
    const { client, url } = service
    const people = await Promise.all([aPerson(client), aPerson(client), aPerson(client)])
    const paths = ['/v1/protected', '/v1/me', '/forward-auth']
    const asked = Array.from({ length: 600 }, (_, i) => ({ path: paths[i % 3]!, ...people[(i % 7) % 3]! }))
    const bytes = asked.map(
      ({ path, tokens }, i) =>
        `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokens.access_token}\r\n` +
        `${i === asked.length - 1 ? 'Connection: close\r\n' : ''}\r\n`,
    )

    const answers = (await readAllOf(url, bytes.join(''))).split(/(?=HTTP\/1\.1 )/)

    expect(answers).to.have.length(asked.length)
    answers.forEach((answer, i) => {
      const [head = '', ...bodies] = answer.split('\r\n\r\n')
      expect(head).to.match(/^HTTP\/1\.1 200 OK\r\n/)
      expect(bodies.map(({ length }) => length)).to.deep.equal([Number(/^Content-Length: (\d+)$/m.exec(head)?.[1])])
      expect(answer).to.include(asked[i]!.id)
    })
  })

  it('is told to the log also when its sender leaves while it is asked who that is', async () => {
    const redis = await ownRedis()
    const alone = await startService({ REDIS_URL: redis.url })
    await alone.migrated
    const { tokens } = await aPerson(alone.client)
    const { hostname, port } = new URL(alone.url)
    redis.pause()
    const sender = net.connect(Number(port), hostname)
    sender.write(
      `PATCH /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokens.access_token}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 90\r\n\r\n{"na',
    )
    await alone.client.get('/health/live') // behind it, so it has arrived
    sender.destroy()
    await alone.client.get('/health/live')
    redis.resume()

    await eventually(() => expect(alone.logged.some(({ method }) => method === 'PATCH')).to.equal(true))
    await alone.close()
    await redis.discard()
  })

  it('is told of a limit that is used up as the others are', async () => {
    const limited = await startService({ SETTING_WRONG_TOKENS_PER_ADDRESS_MAX: '3' })
    const { client } = limited
    const { tokens } = await aPerson(client)
    const wrong: Asked = { headers: { Authorization: `Bearer ${randomUUID()}` } }
    await ask(limited, '/forward-auth', wrong)
    await ask(limited, '/forward-auth', wrong)

    const { direct, byKoa } = await ask(limited, '/forward-auth', wrong)

    expect(direct).to.deep.equal(byKoa)
    expect([direct.status, direct.headers['retry-after']]).to.deep.equal([429, 'some'])
    expect((await client.call('GET', '/forward-auth', { token: tokens.access_token })).status).to.equal(200)
  })

  it('is told that a store is away as the others are, and so is the log', async () => {
    const redis = await ownRedis()
    const alone = await startService({ REDIS_URL: redis.url })
    await alone.migrated
    const { tokens } = await aPerson(alone.client)
    await redis.kill()

    const headers = { Authorization: `Bearer ${tokens.access_token}` }
    const { direct, byKoa } = await ask(alone, '/forward-auth', { headers })

    expect(direct).to.deep.equal(byKoa)
    expect([direct.status, direct.headers['retry-after']]).to.deep.equal([503, 'some'])
    const failures = alone.logged.filter(({ event }) => event === 'store.failed')
    expect(failures).to.have.length(2)
    expect(new Set(failures.map(({ request_id }) => request_id)).size).to.equal(2)
    await redis.discard()
  })
})
