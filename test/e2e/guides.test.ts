import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import type { Json } from '../support/client.ts'
import { aServiceClient, type Credentials } from '../support/command-line.ts'
import { blocksOf, readDocument } from '../support/documentation.ts'
import { eventually } from '../support/eventually.ts'
import { ownRedis, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, aSession } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { keyPrefix } from '../support/stores.ts'

/** The programs of the guides, taken from the page as a reader would save them. */

const root = path.resolve(import.meta.dirname, '../..')
let folder: string

before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-guides-'))
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  for (const place of ['docs/middlewares.md', 'docs/services.md'])
    for (const { language, meta, text } of blocksOf(readDocument(place)))
      if (language === 'js') fs.writeFileSync(path.join(folder, meta), text)
})
after(() => fs.rmSync(folder, { recursive: true, force: true }))

describe('a service with a middleware of the guide', function () {
  this.timeout(60_000)
  let latchkey: TestService
  let credentials: Credentials
  before(async () => {
    latchkey = await startService()
    credentials = await aServiceClient()
  })
  after(() => latchkey.close())

  for (const framework of ['koa', 'express'])
    describe(framework, () => {
      const processes: ChildProcess[] = []
      afterEach(async () => {
        for (const child of processes.splice(0)) {
          child.kill('SIGKILL')
          if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
        }
      })

      /** Starts the service of the guide before some Latchkey, on a free port. */
      async function start(url: string, { id, secret } = credentials) {
        const child = spawn(process.execPath, [`${framework}-service.mjs`], {
          cwd: folder,
          env: { ...process.env, PORT: '0', LATCHKEY_URL: url, LATCHKEY_CLIENT_ID: id, LATCHKEY_CLIENT_SECRET: secret },
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        processes.push(child)
        const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
        return async (authorization?: string, headers: Record<string, string> = {}) => {
          const answer = await fetch(`http://127.0.0.1:${line.trim()}/`, {
            headers: { ...headers, ...(authorization !== undefined && { authorization }) },
          })
          return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Json }
        }
      }

      it('lets in who is signed in, and nobody after the logout', async () => {
        const ask = await start(latchkey.url)
        const { email, tokens } = await aPerson(latchkey.client)
        const authorization = `Bearer ${tokens.access_token}`

        const forged = { 'x-auth-role': 'admin', 'x-auth-user': 'root' }
        expect(await ask(authorization, forged)).to.deep.include({ status: 200, body: { hello: email, role: 'user' } })

        await latchkey.client.logout(tokens.access_token)
        const refused = await ask(authorization)
        expect(refused.status).to.equal(401)
        expect(refused.headers.get('www-authenticate')).to.equal('Bearer error="invalid_token"')
      })

      it('refuses who shows no token, or none that is good', async () => {
        const ask = await start(latchkey.url)
        const { tokens } = await aPerson(latchkey.client)

        for (const none of [undefined, `Basic ${tokens.access_token}`]) {
          const answer = await ask(none)
          expect([answer.status, answer.headers.get('www-authenticate')]).to.deep.equal([401, 'Bearer'])
        }
        for (const bad of [tokens.refresh_token, 'x', `${tokens.access_token} x`])
          expect((await ask(`Bearer ${bad}`)).status, bad).to.equal(401)
      })

      it('is 503 when Latchkey is away, says nothing, or is something else', async () => {
        const silent = net.createServer(() => undefined).listen(0, '127.0.0.1')
        const other = net.createServer((socket) => {
          socket.end(
            'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello',
          )
          socket.on('error', () => undefined)
        })
        other.listen(0, '127.0.0.1')
        const urlOf = (server: net.Server) => `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
        const { tokens } = await aPerson(latchkey.client)
        for (const url of ['http://127.0.0.1:1', urlOf(silent), urlOf(other)]) {
          const answer = await (await start(url))(`Bearer ${tokens.access_token}`)
          expect(answer.status, url).to.equal(503)
          expect(answer.headers.get('retry-after')).to.equal('2')
        }
        silent.close()
        other.close()
      })

      if (framework === 'koa')
        it('is 503 when its own credentials are wrong', async () => {
          const { tokens } = await aPerson(latchkey.client)
          const ask = await start(latchkey.url, { ...credentials, secret: 'wrong' })

          expect((await ask(`Bearer ${tokens.access_token}`)).status).to.equal(503)
        })
    })
})

describe('a service that keeps answers of introspection', function () {
  this.timeout(60_000)
  let redis: OwnRedis
  let latchkey: TestService
  let introspection: { introspect(token: string): Promise<Json>; stop(): Promise<void> }
  let asked: number
  before(async () => {
    redis = await ownRedis()
    latchkey = await startService({ REDIS_URL: redis.url })
    const { id, secret } = await aServiceClient()
    const { createIntrospection } = (await import(
      pathToFileURL(path.join(folder, 'introspection-cache.mjs')).href
    )) as { createIntrospection: (options: object) => typeof introspection }
    introspection = createIntrospection({
      url: latchkey.url,
      clientId: id,
      clientSecret: secret,
      redisUrl: redis.url,
      keyPrefix,
      keptMs: 3_600_000, // so that nothing is forgotten by its age
    })
  })
  after(async () => {
    await introspection.stop()
    await latchkey.close()
    await redis.discard()
  })
  beforeEach(() => {
    asked = questions()
  })

  const questions = () =>
    latchkey.logged.filter(({ event, route }) => event === 'request.done' && route === '/oauth/introspect').length

  /** Asks until the answer is one that was kept. */
  async function keep(token: string): Promise<void> {
    await eventually(async () => {
      const before = questions()
      expect((await introspection.introspect(token)).active).to.equal(true)
      expect(questions()).to.equal(before)
    })
  }

  it('asks once, and not again before it must', async () => {
    const { email, tokens } = await aPerson(latchkey.client)
    await keep(tokens.access_token)
    asked = questions()

    for (let i = 0; i < 5; i++) expect((await introspection.introspect(tokens.access_token)).email).to.equal(email)

    expect(questions()).to.equal(asked)
  })

  it('forgets a session that has ended, however that happened, and no other', async () => {
    const someone = await aPerson(latchkey.client)
    const [other, third] = [await aSession(latchkey.client, someone), await aSession(latchkey.client, someone)]
    const stranger = await aPerson(latchkey.client)
    for (const { access_token } of [someone.tokens, other, third, stranger.tokens]) await keep(access_token)
    const isDead = (token: string) =>
      eventually(async () => expect(await introspection.introspect(token)).to.deep.equal({ active: false }), 1000)

    await latchkey.client.logout(someone.tokens.access_token)
    await isDead(someone.tokens.access_token)
    await latchkey.client.logoutAll(other.access_token)
    await isDead(other.access_token)
    await isDead(third.access_token)

    asked = questions()
    expect((await introspection.introspect(stranger.tokens.access_token)).active).to.equal(true)
    expect(questions()).to.equal(asked)
  })

  it('keeps nothing while it cannot read the stream, and begins anew afterwards', async () => {
    const { tokens } = await aPerson(latchkey.client)
    await keep(tokens.access_token)

    await redis.kill()
    await eventually(async () => {
      const failure = await introspection.introspect(tokens.access_token).then(
        () => null,
        (error: Error) => error.message,
      )
      expect(failure).to.equal('Latchkey answered 503')
    }, 10_000)

    await redis.start()
    await eventually(() => keep(tokens.access_token), 20_000)
  })
})
