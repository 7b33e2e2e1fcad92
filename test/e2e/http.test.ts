import { randomUUID } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { routes, type Route } from '../../src/http/index.ts'
import { expectProblem, pointersOf, type Json } from '../support/client.ts'
import { aPerson, password, uniqueEmail } from '../support/people.ts'
import { sendRaw, statusesOf, type RawAnswer } from '../support/raw.ts'
import { startService, type TestService } from '../support/service.ts'

const aMethod = (method: Route['method']) => (method === 'any' ? 'REPORT' : method.toUpperCase())
const aPath = (path: string) => path.replace(':id', randomUUID()).replace('{*path}', 'orders/1')

describe('the API over HTTP', () => {
  let service: TestService
  before(async () => {
    service = await startService()
  })
  after(() => service.close())

  const loginWith = (headers: Record<string, string>, body: string | Buffer) =>
    fetch(`${service.url}/v1/auth/login`, { method: 'POST', headers, body })

  function expectRawProblem(answer: RawAnswer, status: number, code: string): void {
    expect(answer.status).to.equal(status)
    expect(answer.headers).to.include({
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    expect(JSON.parse(answer.body)).to.include({ code, status, instance: answer.headers['x-request-id'] })
  }

  describe('the access token', () => {
    it('is asked for by every route that needs one, bare when none came', async () => {
      for (const { method, path, auth } of routes) {
        if (auth !== 'bearer' && auth !== 'admin') continue
        const answer = await service.client.call(aMethod(method), aPath(path))
        expectProblem(answer, 401, 'authentication-required')
        expect(answer.headers.get('www-authenticate'), path).to.equal('Bearer')
      }
    })

    it('is refused by every route when it is unknown, with invalid_token', async () => {
      for (const { method, path, auth } of routes) {
        if (auth !== 'bearer' && auth !== 'admin') continue
        const answer = await service.client.call(aMethod(method), aPath(path), {
          token: randomUUID(),
        })
        expectProblem(answer, 401, 'invalid-token', 'unknown')
        expect(answer.headers.get('www-authenticate'), path).to.equal('Bearer error="invalid_token"')
      }
    })

    it('is read from the Authorization header, whatever the case of the scheme, and nowhere else', async () => {
      const { tokens } = await aPerson(service.client)
      const token = tokens.access_token
      const get = (headers: Record<string, string>, query = '') =>
        service.client.call('GET', `/v1/protected${query}`, { headers })

      for (const scheme of ['Bearer', 'bearer', 'BEARER'])
        expect((await get({ authorization: `${scheme} ${token}` })).status).to.equal(200)
      expect((await get({ authorization: `Bearer   ${token}` })).status).to.equal(200)
      for (const headers of [
        { cookie: `access_token=${token}` },
        { 'x-access-token': token },
        { authorization: `Basic ${token}` },
        { authorization: token },
      ] as Record<string, string>[])
        expectProblem(await get(headers), 401, 'authentication-required')
      expectProblem(await get({}, `?access_token=${token}`), 401, 'authentication-required')
      for (const text of ['', `${token} x`, `${token},${token}`, `"${token}"`, '%E0%A4%A', token.toUpperCase()])
        expectProblem(await get({ authorization: `Bearer ${text}` }), 401, 'invalid-token', 'unknown')
    })
  })

  describe('a body', () => {
    it('is taken as application/json in UTF-8 only, never compressed', async () => {
      const body = JSON.stringify({ email: 'ada@example.com', password })
      for (const headers of [
        { 'content-type': 'application/x-www-form-urlencoded' },
        { 'content-type': 'multipart/form-data; boundary=x' },
        { 'content-type': 'text/plain' },
        { 'content-type': 'application/vnd.api+json' },
        { 'content-type': 'application/jsonp' },
        { 'content-type': 'application/json; charset=utf-16' },
        { 'content-type': 'application/json', 'content-encoding': 'gzip' },
        { 'content-type': 'application/json', 'content-encoding': 'identity' },
        {},
      ] as Record<string, string>[]) {
        const answer = await loginWith(headers, body)
        expect(answer.status, JSON.stringify(headers)).to.equal(415)
      }
      const bomb = await loginWith(
        { 'content-type': 'application/json', 'content-encoding': 'gzip' },
        gzipSync(Buffer.alloc(50_000_000, ' ')),
      )
      expect(bomb.status).to.equal(415)
      for (const type of ['application/json; charset=utf-8', 'application/json;charset="UTF-8"'])
        expect((await loginWith({ 'content-type': type }, body)).status).to.equal(401)
    })

    it('must be one JSON object that can be read in one way', async () => {
      const type = { 'content-type': 'application/json' }
      const email = uniqueEmail()
      for (const body of [
        '{',
        '{"email":"a@example.com"}}',
        'null',
        '"text"',
        `{"email":"${email}","email":"${email}","password":"x"}`,
        `{"email":"${email}","\\u0065mail":"${email}","password":"x"}`,
        `{"__proto__":{"email":"${email}"},"password":"x"}`,
        `{"email":${'['.repeat(20)}${']'.repeat(20)}}`,
        Buffer.from('\uFEFF{}', 'utf16le'),
        Buffer.from('\uFEFF{"email":"a@example.com","password":"x"}'),
        Buffer.concat([Buffer.from('{"email":"'), Buffer.from([0xff, 0xfe]), Buffer.from('","password":"x"}')]),
      ]) {
        const answer = await loginWith(type, body)
        expect([answer.status, ((await answer.json()) as Json).code], String(body)).to.deep.equal([
          400,
          'malformed-request',
        ])
      }
      expect({}).to.not.have.property('email')
    })

    it('that is an array or empty lacks every member', async () => {
      const type = { 'content-type': 'application/json' }
      const array = await loginWith(type, '[]')
      expect([array.status, ((await array.json()) as Json).errors[0].pointer]).to.deep.equal([400, ''])
      const none = await service.client.post('/v1/auth/login')
      expectProblem(none, 400, 'validation-failed')
      expect(pointersOf(none)).to.have.members(['/password', '/identifier'])
    })

    it('holds well-formed text only', async () => {
      const answer = await service.client.login('{"email":"\\ud800","password":"x"}')

      expectProblem(answer, 400, 'validation-failed')
      expect(pointersOf(answer)).to.deep.equal(['/email'])
    })

    it('is refused where a route takes none, so that no wish is overheard', async () => {
      const { tokens } = await aPerson(service.client)
      const token = tokens.access_token

      const wish = await service.client.post('/v1/auth/logout-all', { token, body: { except_current: true } })
      expectProblem(wish, 400, 'validation-failed')
      expect(pointersOf(wish)).to.deep.equal(['/except_current'])
      const text = { 'content-type': 'text/plain' }
      const plain = await service.client.post('/v1/sessions/revoke-others', { token, body: 'all', headers: text })
      expectProblem(plain, 415, 'unsupported-media-type')
      expect((await service.client.me(token)).status).to.equal(200)
      expect((await service.client.post('/v1/auth/logout-all', { token, body: {} })).status).to.equal(200)
    })

    it('is none when it comes in chunks and ends without a byte, whatever its type; else it needs one', async () => {
      const { tokens } = await aPerson(service.client)
      const statuses = (type: string, chunks: string) =>
        statusesOf(
          service.url,
          `POST /v1/sessions/revoke-others HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokens.access_token}\r\n` +
            `${type}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n` +
            'GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
        )

      for (const type of ['', 'Content-Type: application/json\r\n', 'Content-Type: text/plain\r\n'])
        expect(await statuses(type, ''), type).to.deep.equal([200, 200])
      expect(await statuses('Content-Type: application/json\r\n', '2\r\n{}\r\n')).to.deep.equal([200, 200])
      for (const type of ['', 'Content-Type: text/plain\r\n'])
        expect(await statuses(type, '2\r\n{}\r\n'), type).to.deep.equal([415, 200])
    })

    it('is told what is wrong with each member, and where, as it was written', async () => {
      const answer = await service.client.login({ email: 1, password: null, isAdmin: true, 'a/b~c': 1, '': 1 })

      expect(answer.body.errors).to.have.deep.members([
        { pointer: '/email', detail: 'must be a string' },
        { pointer: '/password', detail: 'must be a string' },
        { pointer: '/isAdmin', detail: 'is not known here' },
        { pointer: '/a~1b~0c', detail: 'is not known here' },
        { pointer: '/', detail: 'is not known here' },
      ])
      const missing = await service.client.login({ email: 'ada@example.com' })
      expect(missing.body.errors).to.deep.equal([{ pointer: '/password', detail: 'is required' }])
    })

    it('has at most 64 KiB, however it is sent', async () => {
      const large = JSON.stringify({ email: 'ada@example.com', password: 'x'.repeat(200_000) })

      expectProblem(await service.client.login(large), 413, 'payload-too-large')
      const chunk = `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`
      const chunked = await sendRaw(
        service.url,
        `POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
      )
      expectRawProblem(chunked, 413, 'payload-too-large')
    })

    it('that is refused does not stand in the way of the next request on its connection', async () => {
      const large = JSON.stringify({ email: 'ada@example.com', password: 'x'.repeat(200_000) })
      const head = 'POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
      const next = 'GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
      for (const refused of [
        `${head}Content-Length: ${large.length}\r\n\r\n${large}`,
        `${head}Transfer-Encoding: chunked\r\n\r\n${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`,
      ])
        expect(await statusesOf(service.url, refused + next)).to.deep.equal([413, 200])
    })
  })

  describe('a path', () => {
    it('that no route has is not there, in any spelling', async () => {
      for (const path of ['/', '/v1', '/v1/ME', '/V1/me', '/v1/me/', '//v1/me', '/v1//me', '/v1/%6de', '/v1/me%00'])
        expectProblem(await service.client.get(path), 404, 'not-found')
    })

    it('says which methods it takes', async () => {
      const refused = await service.client.call('POST', '/v1/me')
      expectProblem(refused, 405, 'method-not-allowed')
      expect(refused.headers.get('allow')!.split(', ')).to.have.members([
        'GET',
        'HEAD',
        'PATCH',
        'PUT',
        'DELETE',
        'OPTIONS',
      ])

      const options = await service.client.call('OPTIONS', '/v1/auth/login')
      expect(options.status).to.equal(204)
      expect(options.headers.get('allow')!.split(', ')).to.have.members(['POST', 'OPTIONS'])

      for (const method of ['TRACE', 'PROPFIND'])
        expectRawProblem(
          await sendRaw(service.url, `${method} /v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
          405,
          'method-not-allowed',
        )
      const override = await service.client.call('POST', '/v1/me', { headers: { 'x-http-method-override': 'GET' } })
      expectProblem(override, 405, 'method-not-allowed')
    })

    it('answers HEAD as GET without the body', async () => {
      const { tokens } = await aPerson(service.client)
      const head = await fetch(`${service.url}/v1/me`, {
        method: 'HEAD',
        headers: { authorization: `Bearer ${tokens.access_token}` },
      })

      expect(head.status).to.equal(200)
      expect(await head.text()).to.equal('')
    })
  })

  describe('what is no request', () => {
    const head = (rest: string) => `POST /v1/auth/login HTTP/1.1\r\nHost: x\r\n${rest}\r\n\r\n`

    it('is refused when its framing is ambiguous, and the connection is closed', async () => {
      for (const bytes of [
        head('Content-Length: 5\r\nTransfer-Encoding: chunked') + '0\r\n\r\n',
        head('Content-Length: 5\r\nContent-Length: 6') + '{}',
        head('Transfer-Encoding: chunked') + 'zz\r\n{}\r\n0\r\n\r\n',
        'GET /v1/me HTTP/1.1\r\nHost : x\r\n\r\n',
        'nonsense\r\n\r\n',
      ]) {
        const answer = await sendRaw(service.url, bytes)
        expectRawProblem(answer, 400, 'malformed-request')
        expect(answer.headers['connection']).to.equal('close')
      }
      expect((await service.client.get('/health/live')).status).to.equal(200)
    })

    it('is refused without a Host, and answered whatever it expects', async () => {
      const nameless = await sendRaw(service.url, 'GET /health/live HTTP/1.1\r\n\r\n')
      expectRawProblem(nameless, 400, 'malformed-request')
      const expecting = await sendRaw(service.url, 'GET /v1/me HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n')
      expectRawProblem(expecting, 401, 'authentication-required')
    })

    it('is refused when its headers or its URL are too large', async () => {
      const flood = `GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Flood: ${'x'.repeat(100_000)}\r\n\r\n`
      expectRawProblem(await sendRaw(service.url, flood), 431, 'headers-too-large')
      expectProblem(await service.client.get(`/v1/me?${'x'.repeat(9000)}`), 414, 'uri-too-long')
      const endless = `GET /${'x'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`
      expectRawProblem(await sendRaw(service.url, endless), 414, 'uri-too-long')
      const long = `GET /${'x'.repeat(40_000)} HTTP/1.1\r\nHost: x\r\n\r\n`
      expectRawProblem(await sendRaw(service.url, long), 414, 'uri-too-long')
      expect((await service.client.get('/health/live')).status).to.equal(200)
    })
  })

  it('gives every answer an id of its own, which the log has too', async () => {
    const first = await service.client.get('/v1/me')
    const second = await service.client.get('/nowhere')

    const ids = [first, second].map(({ headers }) => headers.get('x-request-id'))
    expect(new Set(ids).size).to.equal(2)
    const logged = service.logged.filter(({ event }) => event === 'request.done').map(({ request_id }) => request_id)
    expect(logged).to.include.members(ids)
  })

  it('tells no stranger what it is made of', async () => {
    const { headers } = await service.client.get('/v1/me')

    for (const name of ['x-powered-by', 'server', 'set-cookie', 'access-control-allow-origin'])
      expect(headers.get(name), name).to.equal(null)
  })

  it('ignores what a stranger says about where they come from', async () => {
    const { client } = service
    const { email } = await aPerson(client)

    const answer = await client.login(
      { email, password },
      { 'x-forwarded-for': '203.0.113.9', 'x-real-ip': '203.0.113.9', forwarded: 'for=203.0.113.9' },
    )

    expect(answer.body.session.ip).to.equal('127.0.0.1')
  })
})
