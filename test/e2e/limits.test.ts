import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import knexModule from 'knex'
import { expectProblem, type Answer, type ApiClient } from '../support/client.ts'
import { ownRedis } from '../support/own-stores.ts'
import { aPerson, aSession, password, uniqueEmail } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { databaseUrl, keyPrefix, operatorsRedis } from '../support/stores.ts'
import { volley } from '../support/volley.ts'

const wrong = 'not the password'

function expectTooMany(answer: Answer, windowSeconds: number): void {
  expectProblem(answer, 429, 'too-many-attempts')
  expect(answer.headers.get('retry-after')).to.match(/^[1-9]\d*$/)
  expect(Number(answer.headers.get('retry-after'))).to.be.within(1, windowSeconds)
}

describe('wrong passwords of one account', () => {
  let service: TestService
  let client: ApiClient
  before(async () => {
    service = await startService()
    client = service.client
  })
  after(() => service.close())

  it('count together however the account is named, and the eleventh is refused like the right password', async () => {
    const username = `Ada-${randomUUID().slice(0, 8)}`
    const { email } = await aPerson(client, { username })
    const names = [
      { email },
      { email: email.toUpperCase() },
      { username },
      { username: username.toLowerCase() },
      { identifier: username.toUpperCase() },
      { identifier: email, device_name: 'laptop' },
    ]
    for (let i = 0; i < 10; i++)
      expectProblem(await client.login({ ...names[i % names.length], password: wrong }), 401, 'invalid-credentials')

    for (const name of names) {
      expectTooMany(await client.login({ ...name, password: wrong }), 900)
      expectTooMany(await client.login({ ...name, password }), 900)
    }
  })

  it('leave open sessions working, refreshing and logging out, and others alone', async () => {
    const person = await aPerson(client)
    const neighbour = await aPerson(client)
    const { email, id, tokens } = person
    const other = await aSession(client, person)
    for (let i = 0; i < 10; i++) await client.login({ email, password: wrong })
    expectTooMany(await client.login({ email, password }), 900)
    const told = service.logged.filter(({ event, user_id }) => event === 'limit.reached' && user_id === id)
    expect(told.map(({ reason }) => reason)).to.deep.equal(['wrong-passwords'])

    expect((await client.protected(tokens.access_token)).status).to.equal(200)
    const fresh = await client.refresh(tokens.refresh_token)
    expect(fresh.status).to.equal(200)
    expect((await client.post('/v1/auth/tokens', { token: fresh.body.access_token })).status).to.equal(200)
    expect((await client.logout(other.access_token)).status).to.equal(204)
    await aSession(client, neighbour)
  })

  it('are forgotten when the window ends', async () => {
    const { email, id } = await aPerson(client)
    for (let i = 0; i < 10; i++) await client.login({ email, password: wrong })
    expectTooMany(await client.login({ email, password }), 900)

    await operatorsRedis().del(`${keyPrefix}limit:wrong-passwords:${id}`)

    expect((await client.login({ email, password })).status).to.equal(200)
  })

  it('are answered the same when nobody has the name, in any case', async () => {
    const { email } = await aPerson(client)
    const absent = uniqueEmail()
    for (const name of [email, absent]) {
      for (let i = 0; i < 10; i++) {
        const typed = i % 2 ? name : name.toUpperCase()
        expectProblem(await client.login({ email: typed, password: wrong }), 401, 'invalid-credentials')
      }
    }

    const answers = [await client.login({ email, password: wrong }), await client.login({ email: absent, password })]

    for (const answer of answers) {
      expectTooMany(answer, 900)
      expect({ ...answer.body, instance: '' }).to.deep.equal({ ...answers[0]!.body, instance: '' })
    }
  })

  it('are counted for a disabled account whether or not the password is right', async () => {
    const { email, id } = await aPerson(client)
    const knex = knexModule({ client: 'pg', connection: databaseUrl(), pool: { min: 0, max: 1 } })
    await knex('users').where({ id }).update({ disabled_at: new Date() })
    await knex.destroy()
    for (let i = 0; i < 10; i++) expectProblem(await client.login({ email, password }), 401, 'invalid-credentials')

    expectTooMany(await client.login({ email, password }), 900)
  })

  it('are told to ten of sixty who guess at one instant, over two instances', async () => {
    const elsewhere = await startService()
    const { email } = await aPerson(client)
    const shots = Array.from({ length: 60 }, (_, i) => ({
      url: i % 2 ? service.url : elsewhere.url,
      path: '/v1/auth/login',
      body: { email, password: wrong },
    }))

    const statuses = (await volley(shots)).map(({ status }) => status)

    expect(statuses.filter((status) => status === 401)).to.have.length(10)
    expect(statuses.filter((status) => status === 429)).to.have.length(50)
    await elsewhere.close()
  })

  it('are not seen in twenty right logins of one person at one instant', async () => {
    const { email } = await aPerson(client)
    const shot = { url: service.url, path: '/v1/auth/login', body: { email, password } }

    const statuses = (await volley(Array.from({ length: 20 }, () => shot))).map(({ status }) => status)

    expect(statuses).to.deep.equal(Array.from({ length: 20 }, () => 200))
  })
})

describe('one client address', () => {
  /** A service that has its limits for itself; the rules are narrow, and proxies are trusted only where that is said. */
  async function narrow(env: Record<string, string> = {}): Promise<TestService> {
    return startService({
      KEY_PREFIX: `${keyPrefix}${randomUUID().slice(0, 8)}:`,
      SETTING_LOGINS_PER_ADDRESS_MAX: '3',
      SETTING_REGISTRATIONS_PER_ADDRESS_MAX: '2',
      SETTING_WRONG_TOKENS_PER_ADDRESS_MAX: '4',
      ...env,
    })
  }
  const named = (address: string) => ({ 'x-forwarded-for': address })
  const loginFrom = ({ client }: TestService, headers: Record<string, string>) =>
    client.login({ email: uniqueEmail(), password }, headers)

  it('may log in so often, whatever it claims to be', async () => {
    const service = await narrow()
    const claims = (i: number) => ({
      'x-forwarded-for': `198.51.100.${i}`,
      'x-real-ip': `198.51.100.${i}`,
      forwarded: `for=198.51.100.${i}`,
      'cf-connecting-ip': `198.51.100.${i}`,
    })
    for (let i = 0; i < 3; i++) expect((await loginFrom(service, claims(i))).status).to.equal(401)

    for (let i = 3; i < 8; i++) expectTooMany(await loginFrom(service, claims(i)), 60)
    await service.close()
  })

  it('that is over its limit keeps nobody else from logging in, however much it asks for at once', async () => {
    const service = await narrow({ TRUSTED_PROXIES: '127.0.0.1', HASHES_AT_ONCE: '1', HASHES_WAITING_MAX: '5' })
    const { email } = await aPerson(service.client)
    const crowd = named('198.51.100.7')
    for (let i = 0; i < 3; i++) expect((await loginFrom(service, crowd)).status).to.equal(401)

    const refused = Array.from({ length: 100 }, () => loginFrom(service, crowd))
    const honest = await service.client.login({ email, password }, named('198.51.100.8'))

    expect(honest.status).to.equal(200)
    for (const answer of await Promise.all(refused)) expectTooMany(answer, 60)
    await service.close()
  })

  it('may register so often, and a taken address counts while a mistake does not', async () => {
    const service = await narrow()
    const { client } = service
    expectProblem(await client.register({ email: uniqueEmail(), password: 'short' }), 400, 'password-refused')
    const { email, tokens } = await aPerson(client)
    expectProblem(await client.register({ email, password }), 409, 'email-taken')

    expectTooMany(await client.register({ email: uniqueEmail(), password }), 3600)
    expect((await client.protected(tokens.access_token)).status).to.equal(200)
    await service.close()
  })

  it('may ask for so many mails, whoever they are about, and for either kind', async () => {
    const service = await narrow({ SETTING_MAIL_REQUESTS_PER_ADDRESS_MAX: '3' })
    const { client } = service
    const { email } = await aPerson(client)
    const ask = (path: string, body: unknown) => client.post(`/v1/auth/${path}`, { body })
    expect((await ask('forgot-password', { email: 'no address' })).status).to.equal(400)
    expect((await ask('forgot-password', { email })).status).to.equal(202)
    expect((await ask('forgot-password', { email: uniqueEmail() })).status).to.equal(202)
    expect((await ask('resend-verification', { email: uniqueEmail() })).status).to.equal(202)

    for (const address of [email, uniqueEmail()])
      for (const path of ['forgot-password', 'resend-verification'])
        expectTooMany(await ask(path, { email: address }), 3600)
    await service.close()
  })

  it('may send so many wrong tokens, while good ones are never refused', async () => {
    const service = await narrow()
    const { client } = service
    const { tokens } = await aPerson(client)
    expectProblem(await client.me(randomUUID()), 401, 'invalid-token', 'unknown')
    expectProblem(await client.me('no token'), 401, 'invalid-token', 'unknown')
    expectProblem(await client.refresh(randomUUID()), 401, 'invalid-refresh-token', 'unknown')
    expectProblem(await client.logout(randomUUID()), 401, 'invalid-token', 'unknown')

    expectTooMany(await client.me(randomUUID()), 60)
    expectTooMany(await client.refresh(randomUUID()), 60)
    expectTooMany(await client.logout(randomUUID()), 60)

    expect((await client.protected(tokens.access_token)).status).to.equal(200)
    const fresh = (await client.refresh(tokens.refresh_token)).body
    expectProblem(await client.me(), 401, 'authentication-required')
    const both = { token: randomUUID(), body: { refresh_token: fresh.refresh_token } }
    expect((await client.post('/v1/auth/logout', both)).status).to.equal(204)
    expectProblem(await client.me(fresh.access_token), 401, 'invalid-token', 'logged-out')
    await service.close()
  })

  it('is each client’s own behind a trusted proxy, and what the client wrote into the header has no effect', async () => {
    const service = await narrow({ TRUSTED_PROXIES: '10.0.0.0/8, 127.0.0.1' })
    const hops = (client: string, i: number) => named(`203.0.113.${i}, ${client}, 10.0.0.1`)
    for (let i = 0; i < 3; i++) expect((await loginFrom(service, hops('198.51.100.7', i))).status).to.equal(401)

    expectTooMany(await loginFrom(service, hops('198.51.100.7', 9)), 60)
    expectTooMany(await loginFrom(service, hops('::ffff:198.51.100.7', 9)), 60)
    expect((await loginFrom(service, hops('198.51.100.8', 9))).status).to.equal(401)
    await service.close()
  })

  it('is a whole IPv6 network of 64 bits', async () => {
    const service = await narrow({ TRUSTED_PROXIES: '127.0.0.1' })
    for (const address of ['2001:db8:1:1::1', '2001:DB8:1:1:0:0:0:2', '2001:db8:1:1:ffff::'])
      expect((await loginFrom(service, named(address))).status).to.equal(401)

    expectTooMany(await loginFrom(service, named('2001:db8:1:1::3')), 60)
    expect((await loginFrom(service, named('2001:db8:1:2::1'))).status).to.equal(401)
    await service.close()
  })

  it('is what the session shows', async () => {
    const service = await narrow({ TRUSTED_PROXIES: '127.0.0.1' })
    const { client } = service
    const { email } = await aPerson(client)

    const shown = async (headers: Record<string, string>) =>
      (await client.login({ email, password }, headers)).body.session.ip
    expect(await shown(named('203.0.113.1, 2001:DB8:0::7'))).to.equal('2001:db8::7')
    expect(await shown(named('203.0.113.1, unknown'))).to.equal('127.0.0.1')
    expect(await shown({})).to.equal('127.0.0.1')
    await service.close()
  })
})

describe('the limits in a Redis that is away', () => {
  it('let nobody through and are no defect', async function () {
    this.timeout(30_000)
    const redis = await ownRedis()
    const service = await startService({ REDIS_URL: redis.url })
    const { client } = service
    const { email } = await aPerson(client)
    await redis.kill()

    for (const answer of [
      await client.login({ email, password: wrong }),
      await client.login({ email, password }),
      await client.register({ email: uniqueEmail(), password }),
      await client.refresh(randomUUID()),
      await client.me('no token'),
    ])
      expectProblem(answer, 503, 'unavailable')
    expect(service.logged.filter(({ event }) => event === 'request.failed')).to.deep.equal([])

    await service.close()
    await redis.discard()
  })
})
