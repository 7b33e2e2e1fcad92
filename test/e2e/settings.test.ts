import { expect } from 'chai'
import knexModule, { type Knex } from 'knex'
import { expectProblem, type Tokens } from '../support/client.ts'
import { latchkey } from '../support/command-line.ts'
import { movableClock } from '../support/clock.ts'
import { eventually } from '../support/eventually.ts'
import { aPerson, aSession, password } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { ownDatabase } from '../support/stores.ts'

/** How long a change may take to reach an instance. */
const promisedMs = 1000

describe('a setting that is changed while instances run', function () {
  this.timeout(60_000)
  const clock = movableClock()
  let database: Awaited<ReturnType<typeof ownDatabase>>
  let knex: Knex
  let instances: [TestService, TestService]

  before(async () => {
    database = await ownDatabase()
    knex = knexModule({ client: 'pg', connection: database.url, pool: { min: 0, max: 1 } })
    instances = [await anInstance(), await anInstance()]
  })
  after(async () => {
    await Promise.all(instances.map((instance) => instance.close()))
    await knex.destroy()
    await database.drop()
  })

  /** One more instance on the same stores, ready. */
  async function anInstance(url = database.url): Promise<TestService> {
    const service = await startService({ DATABASE_URL: url }, { clock })
    await eventually(async () => expect((await service.client.get('/health/ready')).status).to.equal(200))
    return service
  }

  async function set(name: string, value: string | number): Promise<void> {
    const { code, errors } = await latchkey(['settings', 'set', name, String(value)], { DATABASE_URL: database.url })
    expect(code, errors).to.equal(0)
  }

  async function unset(name: string): Promise<void> {
    const { code, errors } = await latchkey(['settings', 'unset', name], { DATABASE_URL: database.url })
    expect(code, errors).to.equal(0)
  }

  /** Waits until something holds on every instance, for as long as is promised. */
  const everywhere = (expectation: (instance: TestService) => Promise<unknown>, of: TestService[] = instances) =>
    Promise.all(of.map((instance) => eventually(() => expectation(instance), promisedMs)))

  it('shortens the access tokens that are open, on every instance, and shows it; a refresh goes on', async () => {
    const [{ client }] = instances
    const person = await aPerson(client)
    const young = await aSession(client, person)
    expect(young.expires_in).to.equal(900)
    const refreshed = (await client.refresh(person.tokens.refresh_token)).body as Tokens
    clock.pass({ minutes: 2 })
    const fresh = await aSession(client, person)

    await set('access_token_ttl_seconds', 120)

    await everywhere(async ({ client: at }) => {
      for (const { access_token } of [young, refreshed])
        expectProblem(await at.me(access_token), 401, 'invalid-token', 'expired')
      expect((await at.me(fresh.access_token)).status).to.equal(200)
    })
    const next = (await client.refresh(young.refresh_token)).body as Tokens
    expect(next.expires_in).to.equal(120)
    expect((await client.me(next.access_token)).status).to.equal(200)
    await unset('access_token_ttl_seconds')
  })

  it('ends sessions that are older than it allows, on every instance, and shows when the others end', async () => {
    const [{ client }] = instances
    const person = await aPerson(client)
    clock.pass({ hours: 1 })
    const younger = await aSession(client, person)

    await set('session_absolute_ttl_seconds', 3600)

    await everywhere(async ({ client: at }) => {
      expectProblem(await at.me(person.tokens.access_token), 401, 'invalid-token', 'expired')
      expectProblem(await at.refresh(person.tokens.refresh_token), 401, 'invalid-refresh-token', 'expired')
      const { items } = (await at.sessions(younger.access_token)).body as { items: Tokens['session'][] }
      const endsAt = new Date(clock.now() + 3_600_000).toISOString()
      expect(items.map(({ id, expires_at, idle_expires_at }) => ({ id, expires_at, idle_expires_at }))).to.deep.equal([
        { id: younger.session.id, expires_at: endsAt, idle_expires_at: endsAt },
      ])
    })
    const next = (await client.refresh(younger.refresh_token)).body as Tokens
    expect(next.refresh_expires_in).to.equal(3600)
    await unset('session_absolute_ttl_seconds')
  })

  it('ends sessions that were not refreshed for as long as it allows', async () => {
    const [{ client }] = instances
    const person = await aPerson(client)
    clock.pass({ minutes: 10 })

    await set('session_idle_ttl_seconds', 600)

    await everywhere(async ({ client: at }) => {
      expectProblem(await at.me(person.tokens.access_token), 401, 'invalid-token', 'idle')
      expectProblem(await at.refresh(person.tokens.refresh_token), 401, 'invalid-refresh-token', 'expired')
    })
    await unset('session_idle_ttl_seconds')
  })

  it('changes limits, the rule for passwords, and whether people are told of new devices', async () => {
    const [{ client }] = instances
    const { email, id } = await aPerson(client)
    await set('wrong_passwords_max', 1)
    await set('password_min_length', 20)
    await set('sign_in_notices', 'false')

    await everywhere(async ({ client: at }) => {
      const refused = await at.register({ email: 'a@example.com', password: 'nineteen characters' })
      expectProblem(refused, 400, 'password-refused')
      expect(refused.body.errors[0].detail).to.equal('must have at least 20 characters')
    })
    await client.login({ email, password }, { 'User-Agent': 'never seen before' })
    expect(await knex('mails').where({ user_id: id, kind: 'new-device' })).to.deep.equal([])
    expectProblem(await client.login({ email, password: 'wrong' }), 401, 'invalid-credentials')
    expectProblem(await client.login({ email, password }), 429, 'too-many-attempts')
    await unset('sign_in_notices')
    await client.login({ email: (await aPerson(client)).email, password }, { 'User-Agent': 'never seen either' })
    expect(await knex('mails').where({ kind: 'new-device' })).to.have.length(1)
    await unset('password_min_length')
    await unset('wrong_passwords_max')
  })

  it('holds on an instance from its first answer, also one that starts later', async () => {
    await set('access_token_ttl_seconds', 60)

    const late = await anInstance()

    expect((await aPerson(late.client)).tokens.expires_in).to.equal(60)
    await late.close()
    await unset('access_token_ttl_seconds')
  })

  it('reaches an instance whose connection for such news was cut', async () => {
    await knex.raw(`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'latchkey bulletin' and datname = current_database()`)

    await set('access_token_ttl_seconds', 61)

    await everywhere(async ({ client }) => expect((await aPerson(client)).tokens.expires_in).to.equal(61))
    await unset('access_token_ttl_seconds')
  })

  it('reaches an instance that was cut off from PostgreSQL when it has it again', async () => {
    const role = `apart_${process.pid}`
    await knex.raw('create role ?? login superuser', [role])
    const url = new URL(database.url)
    url.username = role
    const apart = await anInstance(url.href)
    const person = await aPerson(apart.client)
    await knex.raw('alter role ?? nologin', [role])
    await knex.raw('select pg_terminate_backend(pid) from pg_stat_activity where usename = ?', [role])

    await set('access_token_ttl_seconds', 62)
    await everywhere(async ({ client }) => expect((await aPerson(client)).tokens.expires_in).to.equal(62))
    clock.pass({ seconds: 63 })
    expect((await apart.client.protected(person.tokens.access_token)).status, 'does not know it yet').to.equal(200)

    await knex.raw('alter role ?? login', [role])
    await everywhere(
      async ({ client }) =>
        expectProblem(await client.protected(person.tokens.access_token), 401, 'invalid-token', 'expired'),
      [apart],
    )
    await apart.close()
    await knex.raw('drop role ??', [role])
    await unset('access_token_ttl_seconds')
  })
})

describe('a life that is shortened and put back while instances run', function () {
  this.timeout(60_000)
  /** Behind the clock of the command line, until the tests have passed the hour. */
  const clock = movableClock(Date.now() - 3_600_000)
  let database: Awaited<ReturnType<typeof ownDatabase>>
  let instances: TestService[]
  before(async () => {
    database = await ownDatabase()
    instances = [await anInstance(), await anInstance()]
  })
  after(async () => {
    await Promise.all(instances.map((instance) => instance.close()))
    await database.drop()
  })

  async function anInstance(env: Record<string, string> = {}): Promise<TestService> {
    const service = await startService({ DATABASE_URL: database.url, ...env }, { clock })
    await service.migrated
    return service
  }

  async function settings(...words: string[]): Promise<void> {
    const { code, errors } = await latchkey(['settings', ...words], { DATABASE_URL: database.url })
    expect(code, errors).to.equal(0)
  }

  const everywhere = (expectation: (instance: TestService) => Promise<unknown>) =>
    Promise.all(instances.map((instance) => eventually(() => expectation(instance), promisedMs)))

  it('revives neither sessions nor tokens that had lapsed, on no instance, and leaves the others as they are', async () => {
    const [{ client }] = instances as [TestService, TestService]
    const person = await aPerson(client)
    const lapsing = await aSession(client, person)
    clock.pass({ minutes: 58 })
    const stale = (await client.refresh(person.tokens.refresh_token)).body as Tokens
    clock.pass({ minutes: 2 })
    const fresh = await aSession(client, person)

    for (const [name, shorter] of [
      ['access_token_ttl_seconds', 60],
      ['session_idle_ttl_seconds', 1800],
    ] as const) {
      await settings('set', name, String(shorter))
      await everywhere(async ({ client: at }) => {
        expectProblem(await at.me(stale.access_token), 401, 'invalid-token', 'expired')
      })
    }
    await settings('unset', 'access_token_ttl_seconds')
    await settings('unset', 'session_idle_ttl_seconds')

    const late = await anInstance()
    await everywhere(async ({ client: at }) => {
      expect((await aPerson(at)).tokens.expires_in).to.equal(900)
    })
    for (const { client: at } of [...instances, late]) {
      expectProblem(await at.me(stale.access_token), 401, 'invalid-token', 'expired')
      expectProblem(await at.me(lapsing.access_token), 401, 'invalid-token', 'idle')
      expectProblem(await at.refresh(lapsing.refresh_token), 401, 'invalid-refresh-token', 'expired')
      expect((await at.me(fresh.access_token)).status).to.equal(200)
      const { items } = (await at.sessions(fresh.access_token)).body as { items: Tokens['session'][] }
      expect(items.map(({ id }) => id)).to.have.members([person.tokens.session.id, fresh.session.id])
    }
    await late.close()
    expect((await client.refresh(stale.refresh_token)).status).to.equal(200)
  })

  it('revives nothing either when it is the start value that is longer after a restart', async () => {
    const short = await anInstance({ SETTING_ACCESS_TOKEN_TTL_SECONDS: '60' })
    const person = await aPerson(short.client)
    const stored = await aPerson((instances as [TestService])[0].client)
    clock.pass({ seconds: 60 })
    for (const { tokens } of [person, stored])
      expectProblem(await short.client.me(tokens.access_token), 401, 'invalid-token', 'expired')
    await short.close()

    const restarted = await anInstance()

    for (const { tokens } of [person, stored])
      expectProblem(await restarted.client.me(tokens.access_token), 401, 'invalid-token', 'expired')
    await restarted.close()
  })
})
