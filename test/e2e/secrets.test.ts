import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { digest } from '../../src/platform/digest.ts'
import { aServiceClient, basicOf, latchkey } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { connectPostgres, ownPostgres, ownRedis, type OwnPostgres, type OwnRedis } from '../support/own-stores.ts'
import { uniqueEmail } from '../support/people.ts'
import { sendRaw } from '../support/raw.ts'
import { digestsOf, found, noting, wholeDatabase, wholeRedis, type Known } from '../support/secrets.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'
import { keyPrefix } from '../support/stores.ts'

interface Run {
  service: TestService
  redis: OwnRedis
  postgres: OwnPostgres
  known: Known
  /** Asks, and takes note of the secrets in what is sent and answered. */
  ask: ReturnType<typeof noting>
  /** The token of the newest mail to an address, once there are so many. */
  tokenMailedTo: (address: string, count?: number) => Promise<string>
}

/** A password that nothing else in the run is like. */
const aPassword = () => `${randomUUID()} horse`

async function aPerson({ ask }: Run) {
  const [email, password] = [uniqueEmail(), aPassword()]
  const body = { email, password, password_confirmation: password, username: `u${randomUUID().slice(0, 8)}` }
  const { access_token, refresh_token } = (await ask('POST', '/v1/auth/register', { body })).body
  return { email, password, username: body.username, access: access_token, refresh: refresh_token }
}

/** Everything that secrets are used for; whatever the service learns to do is to be done here as well. */
const flows: Record<string, (run: Run) => Promise<void>> = {
  async 'logging in, rightly and wrongly'(run) {
    const { email, username, password } = await aPerson(run)
    for (const identifier of [email, username])
      await run.ask('POST', '/v1/auth/login', { body: { identifier, password, device_name: 'laptop' } })
    await run.ask('POST', '/v1/auth/login', { body: { email, password: aPassword() } })
    await run.ask('POST', '/v1/auth/login', { body: { email: uniqueEmail(), password: aPassword() } })
    await run.ask('POST', '/v1/auth/register', { body: { email, password: aPassword() } })
    await run.ask('POST', '/v1/auth/register', { body: { email: uniqueEmail(), password: 'a'.repeat(3) + email } })
  },

  async 'refreshing, again, and once too often'(run) {
    const { refresh } = await aPerson(run)
    const again = () => run.ask('POST', '/v1/auth/refresh', { body: { refresh_token: refresh } })
    const next = (await again()).body
    await again()
    await run.ask('POST', '/v1/auth/tokens', { token: next.access_token })
    await again()
    await run.ask('POST', '/v1/auth/refresh', { body: { refresh_token: randomUUID() } })
  },

  async 'using sessions and ending them'(run) {
    const { email, password, access } = await aPerson(run)
    const logIn = async () => (await run.ask('POST', '/v1/auth/login', { body: { email, password } })).body
    const [one, two, three] = [await logIn(), await logIn(), await logIn()]
    await run.ask('GET', '/v1/protected', { token: access })
    await run.ask('GET', '/v1/sessions', { token: access })
    await run.ask('DELETE', `/v1/sessions/${one.session.id}`, { token: access })
    await run.ask('POST', '/v1/auth/logout', { body: { refresh_token: two.refresh_token } })
    await run.ask('POST', '/v1/auth/logout', { token: three.access_token })
    await run.ask('GET', '/v1/me', { token: three.access_token })
    await run.ask('POST', '/v1/auth/logout-all', { token: access })
  },

  async 'confirming an address, and changing it'(run) {
    const { email, password, access } = await aPerson(run)
    const body = { token: await run.tokenMailedTo(email) }
    await run.ask('POST', '/v1/auth/verify-email', { body })
    await run.ask('POST', '/v1/auth/verify-email', { body })
    const next = uniqueEmail()
    await run.ask('PATCH', '/v1/me', { token: access, body: { email: next, current_password: password } })
    await run.ask('POST', '/v1/auth/verify-email', { body: { token: await run.tokenMailedTo(next) } })
    await run.ask('POST', '/v1/auth/resend-verification', { body: { email: next } })
  },

  async 'resetting, changing, deleting'(run) {
    const { email, password } = await aPerson(run)
    await run.tokenMailedTo(email)
    await run.ask('POST', '/v1/auth/forgot-password', { body: { email } })
    const token = await run.tokenMailedTo(email, 2)
    const fresh = aPassword()
    for (const new_password of [`${email}!`, fresh, aPassword()])
      await run.ask('POST', '/v1/auth/reset-password', { body: { token, new_password } })
    await run.ask('POST', '/v1/auth/login', { body: { email, password } })
    const { access_token } = (await run.ask('POST', '/v1/auth/login', { body: { email, password: fresh } })).body
    const last = aPassword()
    const changed = await run.ask('POST', '/v1/me/password', {
      token: access_token,
      body: { current_password: fresh, new_password: last },
    })
    await run.ask('DELETE', '/v1/me', { token: changed.body.access_token, body: { current_password: last } })
  },

  async 'looking after people, settings and services as an admin'(run) {
    const admin = await aPerson(run)
    const stores = { DATABASE_URL: run.postgres.url, REDIS_URL: run.redis.url }
    const made = await latchkey(['users', 'role', admin.email, 'admin'], stores)
    expect(made.code, made.errors).to.equal(0)
    const token = admin.access
    const email = uniqueEmail()
    const { id } = (await run.ask('POST', '/v1/admin/users', { token, body: { email, name: 'Ada' } })).body
    const password = aPassword()
    const link = { token: await run.tokenMailedTo(email), new_password: password }
    await run.ask('POST', '/v1/auth/reset-password', { body: link })
    const { access_token } = (await run.ask('POST', '/v1/auth/login', { body: { email, password } })).body
    await run.ask('GET', `/v1/admin/users?query=${email}`, { token })
    await run.ask('GET', '/v1/admin/users', { token: access_token })
    await run.ask('PATCH', `/v1/admin/users/${id}`, { token, body: { password, role: access_token } })
    await run.ask('POST', `/v1/admin/users/${id}/disable`, { token })
    await run.ask('PATCH', '/v1/admin/settings', { token, body: { refresh_grace_seconds: password } })
    await run.ask('GET', `/v1/admin/audit?user=${id}`, { token })
    await run.ask('GET', '/v1/me/activity', { token })
  },

  async 'asking about tokens as a service, rightly and wrongly'(run) {
    const { access, refresh } = await aPerson(run)
    const stores = { DATABASE_URL: run.postgres.url, REDIS_URL: run.redis.url }
    const { id, secret, authorization } = await aServiceClient(stores)
    run.known.secrets.add(secret)
    const other = randomUUID()
    run.known.secrets.add(other)
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    const introspect = (headers: Record<string, string>, body: string) =>
      run.ask('POST', '/oauth/introspect', { headers: { ...type, ...headers }, body })
    await eventually(async () =>
      expect((await introspect({ authorization }, `token=${access}`)).body.active).to.equal(true),
    )
    await introspect({ authorization: basicOf(id, other) }, `token=${access}`)
    await introspect({ authorization: `Basic ${secret}` }, `token=${access}`)
    await introspect({ authorization }, `token=${access}&token=${refresh}`)
    await introspect({ authorization }, `${secret}=${access}&token=`)
    await run.ask('GET', '/forward-auth', { token: access })
    await run.ask('GET', `/forward-auth/${access}?token=${refresh}`, { token: access })
    await run.ask('POST', '/oauth/revoke', { headers: type, body: `token=${refresh}&token_type_hint=${secret}` })
  },

  async 'putting secrets where they do not belong'(run) {
    const { email, password, access, refresh } = await aPerson(run)
    await run.ask('GET', `/v1/me?access_token=${access}&password=${encodeURIComponent(password)}`)
    await run.ask('GET', `/v1/sessions/${refresh}`, { token: access })
    await run.ask('GET', `/${access}`)
    await run.ask('POST', '/v1/auth/login', { body: `{"email":"${email}","password":"${password}"` })
    await run.ask('POST', '/v1/auth/login', { body: { email, password, [password]: 1, [access]: refresh } })
    await run.ask('POST', '/v1/auth/login', { body: { email: { password }, password: [password] } })
    const basic = Buffer.from(`${email}:${password}`).toString('base64')
    await run.ask('GET', '/v1/me', { headers: { authorization: `Basic ${basic}`, cookie: `token=${access}` } })
    await run.ask('GET', '/v1/me', { headers: { authorization: `Bearer ${access} ${refresh}` } })
    await sendRaw(run.service.url, `GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer ${access}\r\n\r\n`)
  },

  async 'asking while the stores are away'(run) {
    const { email, password, access, refresh } = await aPerson(run)
    const asking = async () => {
      await Promise.all([
        run.ask('GET', '/v1/me', { token: access }),
        run.ask('POST', '/v1/auth/login', { body: { email, password } }),
        run.ask('POST', '/v1/auth/refresh', { body: { refresh_token: refresh } }),
        run.ask('POST', '/v1/auth/register', { body: { email: uniqueEmail(), password: aPassword() } }),
      ])
    }
    for (const store of [run.redis, run.postgres]) {
      store.pause()
      await asking()
      store.resume()
      await eventually(async () => expect((await run.ask('GET', '/health/ready')).status).to.equal(200), 10_000)
    }
  },
}

describe('the secrets of a run', function () {
  this.timeout(60_000)
  let run: Run
  let smtp: SmtpSink
  let close: () => Promise<void>
  const heaps: Record<'log' | 'metrics' | 'database' | 'redis', string> = {
    log: '',
    metrics: '',
    database: '',
    redis: '',
  }

  before(async () => {
    const [redis, postgres] = await Promise.all([ownRedis(), ownPostgres()])
    smtp = await startSmtp()
    const service = await startService({
      ...smtp.env,
      REDIS_URL: redis.url,
      DATABASE_URL: postgres.url,
      OPS_PORT: '0',
      LOG_LEVEL: 'debug',
    })
    const database = connectPostgres(postgres.url)
    await eventually(async () => expect((await service.client.get('/health/ready')).status).to.equal(200), 20_000)
    const known: Known = { secrets: new Set(), addresses: new Set() }
    const tokensIn = (text: string) => [...text.matchAll(/[?&]token=([\w-]+)/g)].map(([, token]) => token!)
    run = {
      service,
      redis,
      postgres,
      known,
      ask: noting(service.client, known),
      tokenMailedTo: (address, count = 1) =>
        eventually(() => {
          const tokens = smtp.mailsTo(address).flatMap(({ text }) => tokensIn(text))
          expect(tokens.length, `mails to ${address}`).to.be.at.least(count)
          return tokens.at(-1)!
        }, 20_000),
    }

    async function look(): Promise<void> {
      heaps.log = JSON.stringify(service.logged)
      heaps.metrics = await (await fetch(`${service.opsUrl}/metrics`)).text()
      heaps.database += await wholeDatabase(database)
      heaps.redis += await wholeRedis(redis.operator())
      for (const { text } of smtp.received) for (const token of tokensIn(text)) known.secrets.add(token)
    }
    // Jobs are gone when they are done: they are looked at after each flow, while their mails wait to be sent.
    for (const flow of Object.values(flows)) {
      await flow(run)
      await look()
    }
    close = async () => {
      await service.close()
      await database.destroy()
      await smtp.stop()
      await Promise.all([redis.discard(), postgres.discard()])
    }
  })
  after(() => close())

  it('are many, and every heap that is searched has what it should', () => {
    expect(run.known.secrets.size).to.be.greaterThan(60)
    expect(run.known.addresses.size).to.be.at.least(10)
    expect(smtp.received.length).to.be.greaterThan(10)
    for (const event of ['login.failed', 'session.refresh_reused', 'password.reset', 'request.done', 'store.failed'])
      expect(heaps.log).to.include(event)
    for (const table of [
      'public.users',
      'public.mails',
      'graphile_worker._private_jobs',
      'public.session_endings',
      'public.audit_events',
      'public.service_clients',
    ])
      expect(heaps.database).to.include(table)
    for (const key of ['sessions:', 'at:', 'rt:', 'ended:']) expect(heaps.redis).to.include(keyPrefix + key)
  })

  for (const heap of ['log', 'metrics', 'database', 'redis'] as const)
    it(`are nowhere in the ${heap}, in no form`, () => {
      expect(found(run.known.secrets, heaps[heap])).to.deep.equal([])
    })

  for (const heap of ['log', 'metrics'] as const)
    it(`have left no digest of theirs in the ${heap}, and people no address`, () => {
      expect(found(digestsOf(run.known.secrets), heaps[heap])).to.deep.equal([])
      expect(found(digestsOf(run.known.addresses), heaps[heap])).to.deep.equal([])
      expect(found(run.known.addresses, heaps[heap])).to.deep.equal([])
    })

  it('would be found, in any form, wherever they were put', async () => {
    const secret = [...run.known.secrets].find((text) => /^[0-9a-f-]{36}$/.test(text))!
    const forms = {
      plain: secret,
      'in a header': Buffer.from(`Bearer ${secret}`).toString('base64'),
      'as credentials': Buffer.from(`ada:${secret}`).toString('base64url'),
      'as the bytes of a UUID': secret.replaceAll('-', ''),
      'as hexadecimal': Buffer.from(secret).toString('hex'),
    }
    const redis = run.redis.operator()
    const database = connectPostgres(run.postgres.url)
    for (const [name, form] of Object.entries(forms)) {
      await redis.xadd('latchkey:planted', '*', 'of', form)
      await database('mails').update({ facts: JSON.stringify({ deviceName: form }) })
      expect(found([secret], await wholeRedis(redis)), `${name}, in Redis`).to.not.have.length(0)
      expect(found([secret], await wholeDatabase(database)), `${name}, in PostgreSQL`).to.not.have.length(0)
      expect(found([secret], JSON.stringify([{ reason: form }])), `${name}, in the log`).to.not.have.length(0)
      await redis.del('latchkey:planted')
    }
    await database.raw(`select graphile_worker.add_job('send-mail', ?::json)`, [JSON.stringify({ url: secret })])
    expect(found([secret], await wholeDatabase(database)).join()).to.include('graphile_worker')
    await database.destroy()
    expect(digestsOf([secret])).to.deep.equal([digest(secret)])
  })
})
