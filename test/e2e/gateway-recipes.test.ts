import { createHash, randomBytes, randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { problemKinds } from '../../src/http/index.ts'
import { provide } from '../../dev/provide.ts'
import { blocksOf, openShell, readDocument, stepsOf, tableBelow } from '../support/documentation.ts'
import { eventually } from '../support/eventually.ts'
import {
  loopback,
  recipe,
  send,
  startApplication,
  startCaddy,
  startNginx,
  startRelay,
  type Application,
  type Gateway,
  type Got,
  type Relay,
} from '../support/gateways.ts'
import { ownRedis, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, password, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'

const gateways = {
  nginx: {
    start: (latchkey: string, application: string) =>
      startNginx(
        recipe('nginx', {
          'listen 8080;': 'listen LISTEN;',
          '127.0.0.1:3000': latchkey,
          '127.0.0.1:4000': application,
        }),
      ),
    /** What a wrong token is told beside Latchkey's own answer: nginx has no body to pass on. */
    passesBodiesOn: false,
    /** It removes the names that it is told, and cannot be told a pattern. */
    removesUnknownNames: false,
    statusWhenAway: 503,
    statusWhenHanging: 503,
  },
  caddy: {
    start: (latchkey: string, application: string) =>
      startCaddy(
        recipe('caddyfile', {
          'api.example.com': 'http://LISTEN',
          '127.0.0.1:3000': latchkey,
          '127.0.0.1:4000': application,
        }),
      ),
    passesBodiesOn: true,
    removesUnknownNames: true,
    statusWhenAway: 502,
    statusWhenHanging: 504,
  },
}

const wrongTokensMax = 5
const bearer = (token: string): [string, string] => ['Authorization', `Bearer ${token}`]

for (const [name, { start, ...traits }] of Object.entries(gateways)) {
  describe(`the recipe for ${name}`, () => {
    let redis: OwnRedis
    let service: TestService
    let application: Application
    let relay: Relay
    let gateway: Gateway
    let ada: Someone

    before('a fresh machine fetches the gateway first', async function () {
      this.timeout(120_000)
      await provide(name as keyof typeof gateways)
    })
    before(async () => {
      redis = await ownRedis()
      service = await startService({
        REDIS_URL: redis.url,
        TRUSTED_PROXIES: '127.0.0.1',
        SETTING_WRONG_TOKENS_PER_ADDRESS_MAX: String(wrongTokensMax),
      })
      application = await startApplication()
      relay = await startRelay(service.url)
      gateway = await start(relay.address, application.address)
      ada = await aPerson(service.client, { username: `ada-${randomUUID().slice(0, 8)}` })
    })
    after(async () => {
      await gateway.stop()
      await relay.close()
      await application.close()
      await service.close()
      await redis.discard()
    })
    beforeEach(() => (application.reached.length = 0))

    const to = (target: string) => gateway.url + target
    const get = (target: string, ...headers: [string, string][]) => send(to(target), { headers })

    /** What the application was told about identity, however its framework would read the names. */
    function identitySeen(): Record<string, string> {
      expect(application.reached).to.have.length(1)
      const { headers, trailers } = application.reached[0]!
      const told = [...headers, ...trailers].filter(([header]) => /^x[^a-z\d]auth/i.test(header))
      return Object.fromEntries(
        told
          .filter(([, value]) => value !== '')
          .map(([header, value], i, all) => {
            const twice = all.some(([other], j) => j !== i && same(other, header))
            expect(twice, `${header} twice`).to.equal(false)
            return [header.toLowerCase(), value]
          }),
      )
    }

    const identityOf = ({ id, email, tokens }: Someone) => ({
      'x-auth-user': id,
      'x-auth-email': email,
      'x-auth-email-verified': 'false',
      ...(tokens.user['username'] !== null && { 'x-auth-username': tokens.user['username'] as string }),
      'x-auth-role': 'user',
      'x-auth-session': tokens.session.id,
    })

    function expectRefusal(
      got: Got,
      code: 'authentication-required' | 'invalid-token' | 'too-many-attempts' | 'unavailable',
    ) {
      const { status, title, detail } = problemKinds[code]
      expect(got.status).to.equal(status)
      expect(got.headers['content-type']).to.match(/^application\/problem\+json/)
      expect(got.headers['cache-control']).to.equal('no-store')
      const { instance, reason, ...body } = JSON.parse(got.text) as Record<string, unknown>
      expect(instance).to.match(/^[0-9a-f-]{36}$/)
      expect(body).to.deep.include({ type: `/problems/${code}`, title, status, code })
      if (reason === undefined || reason === 'unknown') expect(body['detail']).to.equal(detail)
      expect(application.reached, 'what reached the application').to.deep.equal([])
      return reason
    }

    it('lets nobody in without a token, and says how to come in', async () => {
      const got = await get('/orders')

      expectRefusal(got, 'authentication-required')
      expect(got.headers['www-authenticate']).to.equal('Bearer')
    })

    it('tells the bearer of a dead token that it is dead', async () => {
      const bob = await aPerson(service.client)
      await service.client.logout(bob.tokens.access_token)
      const got = await get('/orders', bearer(bob.tokens.access_token))

      const reason = expectRefusal(got, 'invalid-token')
      expect(got.headers['www-authenticate']).to.equal('Bearer error="invalid_token"')
      expect(reason).to.equal(traits.passesBodiesOn ? 'logged-out' : undefined)
    })

    it('lets the bearer of a live token in, and tells the application who it is', async () => {
      const got = await get('/orders?page=2', bearer(ada.tokens.access_token))

      expect(got).to.include({ status: 200, text: 'let in' })
      expect(application.reached[0]).to.include({ method: 'GET', url: '/orders?page=2' })
      expect(identitySeen()).to.deep.equal(identityOf(ada))
      expect(Object.keys(got.headers).filter((header) => header.startsWith('x-auth'))).to.deep.equal([])
    })

    it('refuses the very next request after the logout', async () => {
      const bob = await aPerson(service.client)
      const token = bob.tokens.access_token
      expect((await get('/orders', bearer(token))).status).to.equal(200)
      expect((await send(to('/v1/auth/logout'), { method: 'POST', headers: [bearer(token)] })).status).to.equal(204)
      application.reached.length = 0

      expectRefusal(await get('/orders', bearer(token)), 'invalid-token')
    })

    const known = ['User', 'Email', 'Email-Verified', 'Username', 'Role', 'Session']
    /** Every character of a name (RFC 9110 §5.6.2) that an application may take for a hyphen. */
    const likeHyphens = "!#$%&'*+.^_`|~".split('')
    const forgeries: Record<string, [string, string][]> = {
      'names as Latchkey writes them': known.map((part) => [`X-Auth-${part}`, 'forged']),
      'names in other cases': known.flatMap((part) => [
        [`x-auth-${part.toLowerCase()}`, 'forged'],
        [`X-AUTH-${part.toUpperCase()}`, 'forged'],
      ]),
      'names that are sent twice': known.flatMap((part) => [
        [`X-Auth-${part}`, 'forged'],
        [`X-Auth-${part}`, 'forged again'],
      ]),
      'names with other characters for hyphens': likeHyphens.flatMap((character) => [
        [`X${character}Auth${character}User`, 'forged'],
        [`X-Auth${character}Role`, 'forged'],
        [`X${character}Auth-Role`, 'forged'],
      ]),
    }
    for (const [what, forged] of Object.entries(forgeries)) {
      it(`keeps ${what} from the application`, async () => {
        await get('/orders', ...forged, bearer(ada.tokens.access_token), ...forged)
        expect(identitySeen()).to.deep.equal(identityOf(ada))
      })

      it(`keeps ${what} from the application where nobody needs to log in`, async () => {
        expect((await get('/public/prices', ...forged)).status).to.equal(200)
        expect(identitySeen()).to.deep.equal({})
      })
    }

    it('tells the application who it is although the client asks the gateway to drop that', async () => {
      const names = known.map((part) => `X-Auth-${part}`)
      await get('/orders', bearer(ada.tokens.access_token), ['Connection', names.join(', ')])

      expect(identitySeen()).to.deep.equal(identityOf(ada))
    })

    it('keeps a forged username from the application when the person has none', async () => {
      const nameless = await aPerson(service.client)
      await get('/orders', ['X-Auth-Username', 'ada'], bearer(nameless.tokens.access_token))

      expect(identitySeen()).to.deep.equal(identityOf(nameless))
    })

    it('keeps names in the trailer of a body from the application', async () => {
      const headers = [bearer(ada.tokens.access_token), ['Transfer-Encoding', 'chunked'], ['Trailer', 'X-Auth-User']]
      await send(to('/orders'), {
        method: 'POST',
        headers: headers as [string, string][],
        body: 'one chunk',
        trailers: { 'X-Auth-User': 'forged' },
      })

      expect(application.reached[0]!.body.toString()).to.equal('one chunk')
      expect(identitySeen()).to.deep.equal(identityOf(ada))
    })

    it(`${traits.removesUnknownNames ? 'removes' : 'passes on'} an X-Auth- name that Latchkey does not have`, async () => {
      await get('/public/prices', ['X-Auth-Anything-Else', 'forged'])

      expect(identitySeen()).to.deep.equal(traits.removesUnknownNames ? {} : { 'x-auth-anything-else': 'forged' })
    })

    for (const target of ['/public/../orders', '/public/%2e%2e/orders', '/public/..%2forders', '//orders'])
      it(`asks for a token at ${target}`, async () => {
        expectRefusal(await get(target), 'authentication-required')
      })

    it('has no way in to the check itself', async () => {
      for (const target of ['/forward-auth', '/latchkey-check'])
        expect((await get(target, bearer(ada.tokens.access_token))).headers).to.not.have.property('x-auth-user')
    })

    it('sends a large body to the application, and none of it to Latchkey', async () => {
      const body = randomBytes(8 * 1024 * 1024)
      const before = relay.sentBytes()
      const got = await send(to('/orders'), {
        method: 'POST',
        headers: [
          bearer(ada.tokens.access_token),
          ['Content-Type', 'application/octet-stream'],
          ['Content-Length', String(body.length)],
        ],
        body,
      })

      expect(got.status).to.equal(200)
      expect(application.reached[0]!.method).to.equal('POST')
      expect(sha256(application.reached[0]!.body)).to.equal(sha256(body))
      expect(relay.sentBytes() - before).to.be.within(1, 4096)
    })

    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])
      it(`checks ${method} as it checks GET`, async () => {
        expect((await send(to('/orders'), { method })).status).to.equal(401)
        expect(application.reached).to.deep.equal([])
        const headers = [bearer(ada.tokens.access_token)]
        expect((await send(to('/orders'), { method, headers })).status).to.equal(200)
        expect(application.reached[0]!.method).to.equal(method)
      })

    it('uses its connections to Latchkey again, for good tokens and for bad ones', async () => {
      const before = relay.connections()
      for (let i = 0; i < 20; i += 1) {
        expect((await get('/orders', bearer(ada.tokens.access_token))).status).to.equal(200)
        expect((await get('/orders')).status).to.equal(401)
      }

      expect(relay.connections() - before).to.be.at.most(1)
    })

    it('shows Latchkey the address of the client, and believes none that the client names', async () => {
      const body = JSON.stringify({ email: ada.email, password })
      const got = await send(to('/v1/auth/login'), {
        method: 'POST',
        headers: [
          ['Content-Type', 'application/json'],
          ['Content-Length', String(Buffer.byteLength(body))],
          ['Connection', 'X-Forwarded-For'],
          ['X-Forwarded-For', '203.0.113.9'],
          ['Forwarded', 'for=203.0.113.9'],
          ['X-Real-IP', '203.0.113.9'],
        ],
        body,
      })

      expect(got.status).to.equal(200)
      expect(JSON.parse(got.text).session.ip).to.equal(loopback.client)
    })

    it('does what the page says when its lines are typed', async () => {
      const page = readDocument('docs/gateways.md')
      const logIn = blocksOf(page).find(({ text }) => text.includes('TOKEN='))!
      const typed = tableBelow(page, 'Check it').map(([cell]) => /`(curl .*)`/.exec(cell!)![1]!)
      expect(typed).to.have.length(7)
      const home = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-gateway-'))
      const { host } = new URL(gateway.url)
      fs.writeFileSync(path.join(home, '.curlrc'), `connect-to = "127.0.0.1:8080:${host}"\n`)
      const env = { PATH: `${path.dirname(await provide('curl'))}:${process.env['PATH']}`, CURL_HOME: home, HOME: home }
      const shell = openShell('sh', { cwd: home, env })
      await shell.paste(stepsOf(readDocument('README.md')).find(({ script }) => script.startsWith('field()'))!.script)
      await shell.paste(logIn.text.replace('ada@example.com', ada.email))

      const seen: unknown[] = []
      for (const [i, line] of typed.entries()) {
        application.reached.length = 0
        if (i === 6) await relay.set('refuse')
        const { said } = await shell.paste(line)
        seen.push([
          Number(/^HTTP\S+ (\d+)/m.exec(said)?.[1]),
          application.reached.length === 0 ? null : (identitySeen()['x-auth-role'] ?? 'nobody'),
        ])
      }
      await relay.set('pass')
      await shell.close()
      fs.rmSync(home, { recursive: true })

      expect(seen).to.deep.equal([
        [401, null],
        [200, 'user'],
        [200, 'user'],
        [200, 'nobody'],
        [200, null],
        [204, null],
        [traits.statusWhenAway, null],
      ])
    })

    it('passes on that there were too many wrong tokens, of this client and no other', async () => {
      for (let i = 0; i < wrongTokensMax; i += 1)
        expectRefusal(
          await get('/orders', bearer(randomUUID()), ['X-Forwarded-For', `203.0.113.${i}`]),
          'invalid-token',
        )
      const got = await get('/orders', bearer(randomUUID()))

      expectRefusal(got, 'too-many-attempts')
      expect(Number(got.headers['retry-after'])).to.be.within(1, 60)
      expect((await get('/orders', bearer(ada.tokens.access_token))).status).to.equal(200)
      expect((await service.client.me(randomUUID())).status, 'another address').to.equal(401)
    })

    it('lets nobody in while Latchkey cannot say who it is', async () => {
      await redis.kill()
      const got = await get('/orders', bearer(ada.tokens.access_token))
      await redis.start()

      expectRefusal(got, 'unavailable')
      expect(got.headers['retry-after']).to.equal('2')
      await eventually(async () => expect((await get('/orders', bearer(ada.tokens.access_token))).status).to.equal(200))
    })

    it('lets nobody in while Latchkey is away, and everybody as soon as it is back', async () => {
      await relay.set('refuse')
      const got = await get('/orders', bearer(ada.tokens.access_token))
      const open = await get('/public/prices')
      await relay.set('pass')

      expect(got.status).to.equal(traits.statusWhenAway)
      expect(open.status).to.equal(200)
      expect(application.reached.map(({ url }) => url)).to.deep.equal(['/public/prices'])
      expect((await get('/orders', bearer(ada.tokens.access_token))).status).to.equal(200)
    })
  })
}

describe('the recipes', () => {
  it('let nobody in while Latchkey hangs, and do not wait for longer than Latchkey ever takes', async () => {
    const application = await startApplication()
    const relay = await startRelay('http://127.0.0.1:9')
    await relay.set('swallow')
    const startedAt = Date.now()
    const answers = await Promise.all(
      Object.values(gateways).map(async ({ start, statusWhenHanging }) => {
        const gateway = await start(relay.address, application.address)
        const { status } = await send(`${gateway.url}/orders`, { headers: [bearer(randomUUID())] })
        await gateway.stop()
        return { status, expected: statusWhenHanging }
      }),
    )
    const tookMs = Date.now() - startedAt
    await relay.close()
    await application.close()

    for (const { status, expected } of answers) expect(status).to.equal(expected)
    expect(application.reached).to.deep.equal([])
    expect(tookMs).to.be.within(5_000, 10_000)
  })
})

const same = (one: string, other: string) => plain(one) === plain(other)
const plain = (name: string) => name.toLowerCase().replaceAll(/[^a-z\d]/g, '-')
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
