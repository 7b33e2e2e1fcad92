import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import {
  createLatchkey,
  LatchkeyError,
  SignedOutError,
  type Latchkey,
  type SignedOutReason,
  type TokenPair,
} from '../../examples/typescript-client/latchkey.ts'
import { expectProblem, type Tokens } from '../support/client.ts'
import { blocksOf, readDocument } from '../support/documentation.ts'
import { eventually } from '../support/eventually.ts'
import { password, uniqueEmail } from '../support/people.ts'
import { addressOf, startProxy, urlThrough, type Proxy } from '../support/proxy.ts'
import { startService, type TestService } from '../support/service.ts'
import { databaseUrl } from '../support/stores.ts'

/** An application with the client of the example, as somebody signed in. */
interface App {
  latchkey: Latchkey
  email: string
  /** Every pair that was to be kept, null for none. */
  kept: (TokenPair | null)[]
  signedOut: SignedOutReason[]
}

async function anApp({ url }: TestService): Promise<App> {
  const email = uniqueEmail()
  const kept: App['kept'] = []
  const signedOut: App['signedOut'] = []
  const latchkey = createLatchkey({
    url,
    keep: (pair) => void kept.push(pair),
    onSignedOut: (reason) => signedOut.push(reason),
  })
  await latchkey.register({ email, password, device_name: 'an app' })
  return { latchkey, email, kept, signedOut }
}

/** What a promise is rejected with. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail('it was fulfilled'),
    (error: unknown) => error,
  )
}

describe('the client for TypeScript', () => {
  let service: TestService
  before(async () => {
    service = await startService()
  })
  after(() => service.close())

  const refreshes = () =>
    service.logged.filter(({ event, route }) => event === 'request.done' && route === '/v1/auth/refresh').length

  it('refreshes once when 50 calls at once meet an expired access token', async () => {
    const { latchkey, email, kept } = await anApp(service)
    service.clock.pass({ minutes: 16 })
    const before = refreshes()

    const answers = await Promise.all(Array.from({ length: 50 }, () => latchkey.call('get', '/v1/me')))

    expect(answers.map((user) => user.email)).to.deep.equal(Array.from({ length: 50 }, () => email))
    expect(refreshes() - before).to.equal(1)
    expect(kept).to.have.length(2)
    expect(kept[1]!.access_token).to.not.equal(kept[0]!.access_token)
  })

  it('gets the same pair again when the answer to a refresh is lost', async () => {
    const { latchkey, kept, signedOut } = await anApp(service)
    service.clock.pass({ minutes: 16 })
    const before = refreshes()
    const real = globalThis.fetch
    let lost = 0
    globalThis.fetch = async (...sent) => {
      const answer = await real(...sent)
      if (!answer.url.endsWith('/refresh') || (lost += 1) > 1) return answer
      throw new TypeError('fetch failed')
    }
    try {
      await latchkey.call('get', '/v1/me')
    } finally {
      globalThis.fetch = real
    }

    expect(refreshes() - before).to.equal(2)
    expect(kept).to.have.length(2)
    expect(signedOut).to.deep.equal([])
  })

  it('goes on with a pair that was kept', async () => {
    const { email, kept } = await anApp(service)
    service.clock.pass({ minutes: 16 })

    const restarted = createLatchkey({ url: service.url, pair: kept.at(-1)! })

    expect((await restarted.call('get', '/v1/me')).email).to.equal(email)
  })

  it('is signed out by a logout: the next call fails, and the tokens are dead', async () => {
    const { latchkey, kept, signedOut } = await anApp(service)
    const [pair] = kept

    await latchkey.logout()

    expect(signedOut).to.deep.equal(['logged-out'])
    expect(kept.at(-1)).to.equal(null)
    expect(await errorOf(latchkey.call('get', '/v1/me'))).to.be.instanceOf(SignedOutError)
    expectProblem(await service.client.me(pair!.access_token), 401, 'invalid-token', 'logged-out')
    expectProblem(await service.client.refresh(pair!.refresh_token), 401, 'invalid-refresh-token', 'ended')
  })

  it('logs out with an access token that has expired', async () => {
    const { latchkey, kept } = await anApp(service)
    service.clock.pass({ minutes: 16 })

    await latchkey.logout()

    expectProblem(await service.client.refresh(kept[0]!.refresh_token), 401, 'invalid-refresh-token', 'ended')
  })

  it('is signed out, once, when calls find the access token expired during a logout', async () => {
    for (let i = 0; i < 10; i++) {
      const { latchkey, kept, signedOut } = await anApp(service)
      service.clock.pass({ minutes: 16 })

      await Promise.all([latchkey.call('get', '/v1/me').catch(() => undefined), latchkey.logout()])

      expect(signedOut).to.have.length(1)
      expect(kept.at(-1)).to.equal(null)
      expect(await errorOf(latchkey.call('get', '/v1/me'))).to.be.instanceOf(SignedOutError)
    }
  })

  it('says once that the session was ended elsewhere, however many calls find out', async () => {
    const { latchkey, email, kept, signedOut } = await anApp(service)
    const elsewhere = createLatchkey({ url: service.url })
    await elsewhere.login({ email, password })
    await elsewhere.call('post', '/v1/sessions/revoke-others')

    const errors = await Promise.all(Array.from({ length: 20 }, () => errorOf(latchkey.call('get', '/v1/me'))))

    for (const error of errors) expect(error).to.be.instanceOf(SignedOutError)
    expect(signedOut).to.deep.equal(['ended'])
    expect(kept.at(-1)).to.equal(null)
  })

  it('says that a spent refresh token was used again', async () => {
    const { latchkey, kept, signedOut } = await anApp(service)
    await service.client.refresh(kept[0]!.refresh_token)
    service.clock.pass({ minutes: 16 })

    expect(await errorOf(latchkey.call('get', '/v1/me'))).to.be.instanceOf(SignedOutError)
    expect(signedOut).to.deep.equal(['reused'])
  })

  it('keeps the new pair that a change of the password gives', async () => {
    const { latchkey, kept } = await anApp(service)

    await latchkey.call('post', '/v1/me/password', {
      body: { current_password: password, new_password: 'another sentence' },
    })

    expect(kept).to.have.length(2)
    await latchkey.call('get', '/v1/me')
  })

  it('fills in the id in a path, and tells what was refused by its code', async () => {
    const { latchkey } = await anApp(service)
    const { items } = await latchkey.call('get', '/v1/sessions')

    const renamed = await latchkey.call('patch', '/v1/sessions/{id}', {
      path: { id: items[0]!.id },
      body: { device_name: 'a telephone' },
    })
    const error = await errorOf(latchkey.call('patch', '/v1/me', { body: { username: '-' } }))

    expect(renamed.device_name).to.equal('a telephone')
    expect((error as LatchkeyError).problem.code).to.equal('validation-failed')
  })

  it('leaves a wrong password to the form that asked for it', async () => {
    const { latchkey, email, signedOut } = await anApp(service)
    const before = refreshes()

    const error = await errorOf(latchkey.login({ email, password: 'not the password' }))

    expect((error as LatchkeyError).problem.code).to.equal('invalid-credentials')
    expect(refreshes()).to.equal(before)
    expect(signedOut).to.deep.equal([])
  })

  it('sends the access token to another service, and refreshes for that too', async () => {
    const { latchkey } = await anApp(service)
    service.clock.pass({ minutes: 16 })

    const answer = await latchkey.fetch(`${service.url}/v1/protected`)

    expect(answer.status).to.equal(200)
  })

  it('has a type for every call, which the compiler checks', async () => {
    const { latchkey } = await anApp(service)
    const mistakes = () => [
      // @ts-expect-error there is no such route
      latchkey.call('get', '/v1/nowhere'),
      // @ts-expect-error the route has no such method
      latchkey.call('delete', '/v1/sessions'),
      // @ts-expect-error the body is missing
      latchkey.call('post', '/v1/me/password'),
      // @ts-expect-error the id is missing
      latchkey.call('delete', '/v1/sessions/{id}'),
      // @ts-expect-error the member has another name
      latchkey.login({ email: '', pasword: '' }),
    ]
    const user = await latchkey.call('get', '/v1/me')
    const role: 'user' | 'admin' = user.role

    expect(mistakes).to.be.a('function')
    expect(role).to.equal('user')
  })
})

describe('the client for TypeScript, when a store of Latchkey is away', function () {
  this.timeout(60_000)
  let proxy: Proxy
  let service: TestService
  before(async () => {
    proxy = await startProxy(addressOf(databaseUrl()))
    service = await startService({ DATABASE_URL: urlThrough(proxy, databaseUrl()) })
    await eventually(async () => expect((await service.client.get('/health/ready')).status).to.equal(200))
  })
  after(async () => {
    await service.close()
    await proxy.close()
  })

  it('keeps the person signed in, and says when to try again', async () => {
    const { latchkey, kept, signedOut } = await anApp(service)
    service.clock.pass({ minutes: 16 })
    proxy.begin({ kind: 'refuse' })

    // The access token has expired, which Redis says; refreshing it needs PostgreSQL.
    const errors = [await errorOf(latchkey.call('get', '/v1/protected')), await errorOf(latchkey.logout())]

    for (const error of errors) {
      expect(error).to.be.instanceOf(LatchkeyError)
      expect((error as LatchkeyError).problem.code).to.equal('unavailable')
      expect((error as LatchkeyError).retryAfterSeconds).to.be.greaterThan(0)
    }
    expect(signedOut).to.deep.equal([])
    expect(kept).to.have.length(1)

    proxy.heal()
    await eventually(async () => latchkey.logout(), 20_000)
    expect(signedOut).to.deep.equal(['logged-out'])
  })
})

describe('the programs in docs/apps.md', () => {
  const run = promisify(execFile)
  const blocks = blocksOf(readDocument('docs/apps.md'))
  let service: TestService
  let folder: string
  let email: string
  beforeEach(async () => {
    service = await startService()
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-apps-'))
    email = uniqueEmail()
    await service.client.register({ email, password })
  })
  afterEach(async () => {
    fs.rmSync(folder, { recursive: true })
    await service.close()
  })

  it('log in, call, refresh and log out without a package', async () => {
    const programs = blocks.filter(({ language }) => language === 'js')
    for (const { meta, text } of programs) fs.writeFileSync(path.join(folder, meta), text)

    const { stdout } = await run(process.execPath, ['sign-in.mjs'], {
      cwd: folder,
      env: { ...process.env, LATCHKEY_URL: service.url, EMAIL: email, PASSWORD: password },
    })

    expect(programs).to.have.length(1)
    expect(stdout.trim().split('\n')).to.deep.equal([
      `Hello, ${email}. Your access token is live.`,
      `Hello, ${email}. Your access token is live.`,
      'invalid-token logged-out',
    ])
  })

  it('use the client for TypeScript', async () => {
    const other = (await service.client.login({ email, password })).body as Tokens
    const program = blocks.find(({ language }) => language === 'ts')!
    const around = {
      before: [
        `import { createLatchkey } from ${JSON.stringify(new URL('../../examples/typescript-client/latchkey.ts', import.meta.url).href)}`,
        `const [email, password, id] = ${JSON.stringify([email, password, other.session.id])}`,
        'const [readPair, writePair, showLogin] = [() => null, () => undefined, console.log]',
      ],
      after: ['console.log(me.email, orders.status)'],
    }
    const text = program.text
      .replace('https://app.example.com/auth', service.url)
      .replace('https://app.example.com/orders', `${service.url}/v1/protected`)
    fs.writeFileSync(path.join(folder, 'app.mjs'), [...around.before, text, ...around.after].join('\n'))

    const { stdout } = await run(process.execPath, [
      '--import',
      import.meta.resolve('tsx'),
      path.join(folder, 'app.mjs'),
    ])

    expect(stdout.trim().split('\n')).to.deep.equal(['logged-out', `${email} 200`])
    expectProblem(await service.client.me(other.access_token), 401, 'invalid-token', 'revoked')
  })
})
