import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { expectProblem, pointersOf } from '../support/client.ts'
import { aPerson, aSession, password } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { eventually } from '../support/eventually.ts'

describe('the list of sessions', () => {
  let service: TestService
  before(async () => {
    service = await startService()
  })
  after(() => service.close())

  it('shows each open session once, newest first, and which one is this', async () => {
    const { client, clock } = service
    const someone = await aPerson(client)
    clock.pass({ seconds: 1 })
    const second = (
      await client.login({ email: someone.email, password, device_name: 'Phone' }, { 'user-agent': 'Ferret/1.0' })
    ).body
    for (let i = 0; i < 5; i++) someone.tokens = (await client.refresh(someone.tokens.refresh_token)).body

    const { items, next_cursor } = (await client.sessions(second.access_token)).body

    expect(next_cursor).to.equal(null)
    expect(items.map(({ id, current }: { id: string; current: boolean }) => ({ id, current }))).to.deep.equal([
      { id: second.session.id, current: true },
      { id: someone.tokens.session.id, current: false },
    ])
    expect(items[0]).to.include({ device_name: 'Phone', user_agent: 'Ferret/1.0', ip: '127.0.0.1' })
  })

  it('leaves out what has lapsed', async () => {
    const { client, clock } = service
    const someone = await aPerson(client)
    clock.pass({ days: 8 })
    const fresh = await aSession(client, someone)

    expect((await client.sessions(fresh.access_token)).body.items).to.have.length(1)
    expectProblem(await client.refresh(someone.tokens.refresh_token), 401, 'invalid-refresh-token', 'expired')
  })

  it('shows no token and no digest', async () => {
    const { client } = service
    const { tokens } = await aPerson(client)

    const { items } = (await client.sessions(tokens.access_token)).body

    expect(Object.keys(items[0])).to.have.members([
      'id',
      'current',
      'device_name',
      'ip',
      'user_agent',
      'created_at',
      'last_seen_at',
      'idle_expires_at',
      'expires_at',
    ])
  })

  it('shows one session, this or another, and nobody else’s', async () => {
    const { client } = service
    const someone = await aPerson(client)
    const other = await aSession(client, someone)
    const stranger = await aPerson(client)
    const token = someone.tokens.access_token

    expect((await client.get('/v1/sessions/current', token)).body).to.include({
      id: someone.tokens.session.id,
      current: true,
    })
    expect((await client.get(`/v1/sessions/${other.session.id}`, token)).body).to.include({ current: false })
    expectProblem(await client.get(`/v1/sessions/${stranger.tokens.session.id}`, token), 404, 'not-found')
    expectProblem(await client.get(`/v1/sessions/${randomUUID()}`, token), 404, 'not-found')
  })

  it('takes a new name for a device', async () => {
    const { client } = service
    const someone = await aPerson(client)
    const other = await aSession(client, someone)
    const rename = (id: string, device_name: unknown) =>
      client.call('PATCH', `/v1/sessions/${id}`, { token: someone.tokens.access_token, body: { device_name } })

    expect((await rename(other.session.id, 'Old laptop')).body.device_name).to.equal('Old laptop')
    expect((await client.get('/v1/sessions/current', other.access_token)).body.device_name).to.equal('Old laptop')
    expect((await rename(other.session.id, null)).body.device_name).to.equal(null)
    const refused = await rename(other.session.id, '\u0000')
    expectProblem(refused, 400, 'validation-failed')
    expect(pointersOf(refused)).to.deep.equal(['/device_name'])
    expectProblem(await rename(randomUUID(), 'x'), 404, 'not-found')
  })

  it('notes when a session was last seen, at most once a minute', async () => {
    const { client, clock } = service
    const someone = await aPerson(client)
    const watcher = await aSession(client, someone)
    const lastSeen = async () =>
      (await client.get(`/v1/sessions/${someone.tokens.session.id}`, watcher.access_token)).body.last_seen_at as string
    const opened = await lastSeen()

    clock.pass({ seconds: 59 })
    await client.protected(someone.tokens.access_token)
    expect(await lastSeen()).to.equal(opened)

    clock.pass({ seconds: 1 })
    await client.protected(someone.tokens.access_token)
    await eventually(async () => expect(Date.parse(await lastSeen()) - Date.parse(opened)).to.be.at.least(60_000))
  })
})
