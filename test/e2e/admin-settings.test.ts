import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { firstAdmin } from '../support/admins.ts'
import { expectProblem, pointersOf, type ApiClient, type Json } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { aPerson, aSession, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { ownDatabase } from '../support/stores.ts'

describe('settings over HTTP', function () {
  this.timeout(20_000)
  let database: Awaited<ReturnType<typeof ownDatabase>>
  let instances: TestService[]
  let client: ApiClient
  let admin: Someone
  before(async () => {
    database = await ownDatabase()
    instances = [await startService({ DATABASE_URL: database.url }), await startService({ DATABASE_URL: database.url })]
    client = instances[0]!.client
    for (const { client: asked } of instances)
      await eventually(async () => expect((await asked.get('/health/ready')).status).to.equal(200), 20_000)
    admin = await firstAdmin(client, { DATABASE_URL: database.url })
  })
  after(async () => {
    for (const instance of instances) await instance.close()
    await database.drop()
  })

  const asAdmin = (method: string, path: string, body?: unknown) =>
    client.call(method, `/v1/admin${path}`, {
      token: admin.tokens.access_token,
      ...(body !== undefined && { body }),
    })
  const change = (body: unknown) => asAdmin('PATCH', '/settings', body)
  const shown = async (name: string) =>
    ((await asAdmin('GET', '/settings')).body.items as Json[]).find((setting) => setting.name === name)

  it('show what holds, what may be, and who changed it', async () => {
    expect(await shown('access_token_ttl_seconds')).to.include({ type: 'integer', value: 900, changed_at: null })

    const { body } = await change({ access_token_ttl_seconds: 300, sign_in_notices: false })

    const changed = body.items.find(({ name }: Json) => name === 'access_token_ttl_seconds')
    expect(changed).to.include({ value: 300, start_value: 900, changed_by: admin.id })
    expect(await shown('access_token_ttl_seconds')).to.deep.equal(changed)
    const { items } = (await asAdmin('GET', '/audit?event=setting.changed&limit=2')).body
    expect(items.map(({ detail }: Json) => detail)).to.have.deep.members([
      { name: 'access_token_ttl_seconds', from: null, to: 300 },
      { name: 'sign_in_notices', from: null, to: false },
    ])
    expect(items[0].actor).to.include({ kind: 'admin', id: admin.id, ip: '127.0.0.1' })
    await change({ access_token_ttl_seconds: null, sign_in_notices: null })
    expect(await shown('access_token_ttl_seconds')).to.include({ value: 900, changed_by: null })
  })

  it('are in force on every instance within a second', async () => {
    const someone = await aPerson(client)
    await change({ access_token_ttl_seconds: 120 })

    for (const instance of instances)
      await eventually(async () => expect((await aSession(instance.client, someone)).expires_in).to.equal(120), 1000)
    await change({ access_token_ttl_seconds: null })
  })

  it('are changed all or none, and every fault is named with what would be right', async () => {
    const answer = await change({
      access_token_ttl_seconds: 0,
      session_idle_ttl_seconds: '60',
      sign_in_notices: 1,
      nonsense: 1,
      'a/b~': 1,
      sessions_per_user_max: 5,
    })

    expectProblem(answer, 400, 'validation-failed')
    expect(pointersOf(answer)).to.have.members([
      '/access_token_ttl_seconds',
      '/session_idle_ttl_seconds',
      '/sign_in_notices',
      '/nonsense',
      '/a~1b~0',
    ])
    expect(answer.text).to.include('must be a whole number from 1 to 86400')
    expect((await shown('sessions_per_user_max')).value).to.equal(50)
    for (const body of [{}, []]) expectProblem(await change(body), 400, 'validation-failed')
  })
})

describe('service clients over HTTP', () => {
  let service: TestService
  let client: ApiClient
  let admin: Someone
  before(async function () {
    this.timeout(20_000)
    service = await startService()
    client = service.client
    admin = await firstAdmin(client)
  })
  after(() => service.close())

  const asAdmin = (method: string, path: string, body?: unknown) =>
    client.call(method, `/v1/admin/service-clients${path}`, {
      token: admin.tokens.access_token,
      ...(body !== undefined && { body }),
    })
  const introspect = async (id: string, secret: string) =>
    (
      await fetch(`${service.url}/oauth/introspect`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`${id}:${secret}`)}` },
        body: new URLSearchParams({ token: admin.tokens.access_token }),
      })
    ).status

  it('are created with a secret that is told once, listed, and revoked', async () => {
    const name = `Shop ${randomUUID()}`
    const created = await asAdmin('POST', '', { name })
    expect(created.status).to.equal(201)
    const { id, secret, ...rest } = created.body
    expect(rest).to.include({ name, created_by: admin.id, last_used_at: null, revoked_at: null })
    expect(await introspect(id, secret)).to.equal(200)

    const listed = await asAdmin('GET', '')
    expect(listed.body.items.map((item: Json) => item.id)).to.include(id)
    expect(listed.text).to.not.include(secret)

    expect((await asAdmin('DELETE', `/${id}`)).status).to.equal(204)
    expect(await introspect(id, secret)).to.equal(401)
    expect((await asAdmin('GET', '')).body.items.find((item: Json) => item.id === id).revoked_at).to.be.a('string')

    const events = await client.get('/v1/admin/audit?limit=10', admin.tokens.access_token)
    expect(events.text).to.not.include(secret)
    const told = events.body.items.filter(({ detail }: Json) => detail.client === id)
    expect(told.map(({ event, actor }: Json) => [event, actor.id])).to.deep.equal([
      ['client.revoked', admin.id],
      ['client.created', admin.id],
    ])
  })

  it('names every member at fault, and knows no client that is not there', async () => {
    const answer = await asAdmin('POST', '', { name: '', secret: 'x' })
    expectProblem(answer, 400, 'validation-failed')
    expect(pointersOf(answer)).to.deep.equal(['/secret'])
    expect(pointersOf(await asAdmin('POST', '', { name: '\n' }))).to.deep.equal(['/name'])
    expect(pointersOf(await asAdmin('POST', '', {}))).to.deep.equal(['/name'])
    for (const id of [randomUUID(), 'nonsense']) expectProblem(await asAdmin('DELETE', `/${id}`), 404, 'not-found')
  })
})
