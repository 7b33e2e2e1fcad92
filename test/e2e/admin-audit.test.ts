import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { anotherAdmin, firstAdmin } from '../support/admins.ts'
import { expectProblem, pointersOf, type ApiClient, type Json } from '../support/client.ts'
import { aPerson, aSession, uniqueEmail, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'

const userAgent = "the admin's own/1"

describe('the audit over HTTP', () => {
  let service: TestService
  let client: ApiClient
  let admin: Someone
  before(async function () {
    this.timeout(20_000)
    service = await startService({ TRUSTED_PROXIES: '127.0.0.1' })
    client = service.client
    admin = await firstAdmin(client)
  })
  after(() => service.close())

  const headers = { 'user-agent': userAgent, 'x-forwarded-for': '192.0.2.7' }
  const asAdmin = (method: string, path: string, body?: unknown) =>
    client.call(method, `/v1/admin${path}`, {
      token: admin.tokens.access_token,
      headers,
      ...(body !== undefined && { body }),
    })
  const eventsOf = async (parameters: string) => (await asAdmin('GET', `/audit?${parameters}`)).body.items as Json[]
  const activityOf = async ({ tokens }: Someone, parameters = '') =>
    client.get(`/v1/me/activity${parameters}`, tokens.access_token)

  it('is not filled by somebody who is no admin and asks without end', async () => {
    const strict = await startService({ SETTING_WRONG_TOKENS_PER_ADDRESS_MAX: '3', TRUSTED_PROXIES: '127.0.0.1' })
    const someone = await aPerson(client)
    const statuses: number[] = []
    for (let i = 0; i < 5; i++) {
      const answer = await strict.client.call('GET', '/v1/admin/users', {
        token: someone.tokens.access_token,
        headers: { 'x-forwarded-for': '192.0.2.99' },
      })
      statuses.push(answer.status)
    }
    await strict.close()

    expect(statuses).to.deep.equal([403, 403, 403, 429, 429])
    expect(await eventsOf(`user=${someone.id}&event=admin.refused`)).to.have.length(3)
  })

  it('has an event of every call of an admin, with who it was, whom it was about and from where', async () => {
    const someone = await aPerson(client)
    const [second, third] = [await aSession(client, someone), await aSession(client, someone)]
    const { id } = someone
    const calls: [method: string, path: string, body: unknown, event: string, detail: unknown][] = [
      ['GET', `/users/${id}`, undefined, 'admin.viewed', { what: 'GET /v1/admin/users/:user_id' }],
      ['PATCH', `/users/${id}`, { name: 'Ada' }, 'account.changed', { members: ['name'] }],
      ['PATCH', `/users/${id}`, { role: 'admin' }, 'role.changed', { from: 'user', to: 'admin' }],
      ['PATCH', `/users/${id}`, { role: 'user' }, 'role.changed', { from: 'admin', to: 'user' }],
      ['GET', `/users/${id}/sessions`, undefined, 'admin.viewed', { what: 'GET /v1/admin/users/:user_id/sessions' }],
      ['DELETE', `/sessions/${id}/${second.session.id}`, undefined, 'session.ended', { reason: 'revoked' }],
      ['DELETE', `/users/${id}/sessions`, undefined, 'sessions.ended', { reason: 'revoked' }],
      ['POST', `/users/${id}/password-reset`, undefined, 'password.reset_requested', {}],
      ['POST', `/users/${id}/disable`, undefined, 'account.disabled', {}],
      ['POST', `/users/${id}/enable`, undefined, 'account.enabled', {}],
      ['DELETE', `/users/${id}`, undefined, 'account.deleted', {}],
      [
        'DELETE',
        `/sessions/${id}/${third.session.id}`,
        undefined,
        'admin.refused',
        { what: 'DELETE /v1/admin/sessions/:user_id/:session_id', reason: 'not-found' },
      ],
      [
        'PATCH',
        `/users/${id}`,
        { role: 'root' },
        'admin.refused',
        { what: 'PATCH /v1/admin/users/:user_id', reason: 'validation-failed' },
      ],
    ]
    for (const [method, path, body, event, detail] of calls) {
      await asAdmin(method, path, body)

      const newest = (await eventsOf(`user=${id}&limit=1`))[0]
      const actor = { kind: 'admin', id: admin.id, ip: '192.0.2.7', user_agent: userAgent }
      const sessionId = event === 'session.ended' ? second.session.id : null
      expect(newest, `${method} ${path}`).to.deep.include({ event, detail, actor, user_id: id, session_id: sessionId })
    }
  })

  it('has an event of what is about nobody in particular, and of a new account', async () => {
    await asAdmin('GET', '/users?query=ada')
    const since = encodeURIComponent(new Date(service.clock.now()).toISOString())
    expect((await eventsOf(`event=admin.viewed&since=${since}&limit=1`))[0].detail).to.deep.equal({
      what: 'GET /v1/admin/users',
    })
    await eventsOf('limit=1')
    expect((await eventsOf('event=admin.viewed&limit=1'))[0].detail).to.deep.equal({ what: 'GET /v1/admin/audit' })

    const { id } = (await asAdmin('POST', '/users', { email: uniqueEmail(), role: 'admin' })).body
    expect((await eventsOf(`user=${id}`))[0]).to.deep.include({ event: 'account.created', detail: { role: 'admin' } })
  })

  it('has an event of a person who is no admin and tried, which is about them and not in what the other one sees', async () => {
    const [someone, curious] = [await aPerson(client), await aPerson(client)]
    const path = `/v1/admin/users/${someone.id}/disable`
    expectProblem(await client.post(path, { token: curious.tokens.access_token }), 403, 'forbidden')

    const [event] = await eventsOf(`user=${curious.id}&event=admin.refused`)
    const what = 'POST /v1/admin/users/:user_id/disable'
    expect(event).to.deep.include({ detail: { what, reason: 'forbidden', user: someone.id } })
    expect(event.actor).to.include({ kind: 'person', id: curious.id })
    expect((await activityOf(someone)).text).to.not.include(curious.id)
  })

  it('keeps no event of a change that has not happened', async () => {
    const other = await anotherAdmin(client, admin)
    const username = `u-${randomUUID().slice(0, 8)}`
    await aPerson(client, { username })
    expectProblem(await asAdmin('PATCH', `/users/${other.id}`, { username, role: 'user' }), 409, 'username-taken')

    expect(await eventsOf(`user=${other.id}&event=account.changed`)).to.deep.equal([])
    expect(await eventsOf(`user=${other.id}&event=role.changed`)).to.have.length(1) // from user to admin
  })

  it('is narrowed by time, and goes page by page', async () => {
    const { id } = await aPerson(client)
    const before = new Date(service.clock.now()).toISOString()
    service.clock.pass({ seconds: 1 })
    for (const name of ['A', 'B', 'C']) await asAdmin('PATCH', `/users/${id}`, { name })

    const all = await eventsOf(`user=${id}&event=account.changed`)
    expect(all).to.have.length(3)
    expect(await eventsOf(`user=${id}&until=${before}`)).to.deep.equal([])
    const offset = encodeURIComponent(before.replace('Z', '+00:00'))
    expect(await eventsOf(`user=${id}&event=account.changed&since=${offset}`)).to.have.length(3)
    const pages: Json[] = []
    let cursor = ''
    do {
      const { body } = await asAdmin('GET', `/audit?user=${id}&event=account.changed&limit=2${cursor}`)
      pages.push(...body.items)
      cursor = body.next_cursor ? `&cursor=${body.next_cursor}` : ''
    } while (cursor)
    expect(pages).to.deep.equal(all)
  })

  it('names every parameter at fault', async () => {
    const faulty: Record<string, string[]> = {
      'user=1': ['/user'],
      'event=nonsense': ['/event'],
      'since=yesterday&until=2026-02-30T00:00:00Z': ['/since', '/until'],
      'cursor=nonsense': ['/cursor'],
      [`cursor=${Buffer.from(`1.${randomUUID()}`).toString('base64url')}`]: ['/cursor'],
      'limit=0&actor=x': ['/limit', '/actor'],
      'user=x&user=y': ['/user', '/user'],
    }
    for (const [parameters, pointers] of Object.entries(faulty)) {
      const answer = await asAdmin('GET', `/audit?${parameters}`)
      expectProblem(answer, 400, 'validation-failed')
      expect([...new Set(pointersOf(answer))], parameters).to.deep.equal([...new Set(pointers)])
    }
    expect((await asAdmin('GET', '/audit?since=0000-01-01T00:00:00Z&until=9999-12-31T23:59:59Z')).status).to.equal(200)
  })

  describe('a person’s own activity', () => {
    it('shows what others did to the account, and not which admin it was nor from where', async () => {
      const someone = await aPerson(client)
      await asAdmin('PATCH', `/users/${someone.id}`, { name: 'Ada' })

      const { body, text } = await activityOf(someone)

      expect(body.items[0]).to.deep.include({
        event: 'account.changed',
        detail: { members: ['name'] },
        by: 'admin',
        ip: null,
        user_agent: null,
      })
      expect(text).to.not.include(admin.id).and.not.include('192.0.2.7').and.not.include(userAgent)
    })

    it('shows an admin what they did to their own account as theirs', async () => {
      await asAdmin('PATCH', `/users/${admin.id}`, { name: 'Ada' })
      const { body } = await activityOf(admin)
      expect(body.items[0]).to.include({ event: 'account.changed', by: 'you', ip: '192.0.2.7', user_agent: userAgent })
    })

    it('shows nothing of others, whatever the cursor, and goes page by page', async () => {
      const [someone, other] = [await aPerson(client), await aPerson(client)]
      for (const name of ['A', 'B', 'C'])
        for (const { id } of [someone, other]) await asAdmin('PATCH', `/users/${id}`, { name })
      const newest = (await activityOf(other)).body.items[0].id

      const page = (await activityOf(someone, '?limit=2')).body
      expect(page.items).to.have.length(2)
      const rest = (await activityOf(someone, `?limit=100&cursor=${page.next_cursor}`)).body
      const ids = [...page.items, ...rest.items].map(({ id }: Json) => id)
      expect(ids).to.deep.equal((await activityOf(someone)).body.items.map(({ id }: Json) => id))

      const beyond = (await activityOf(someone, `?cursor=${newest}`)).body.items.map(({ id }: Json) => id)
      const theirs = new Set((await activityOf(other)).body.items.map(({ id }: Json) => id))
      expect(beyond.filter((id: string) => theirs.has(id))).to.deep.equal([])
    })

    it('names every parameter at fault', async () => {
      const answer = await activityOf(await aPerson(client), '?cursor=x&limit=a&user=b')
      expectProblem(answer, 400, 'validation-failed')
      expect(pointersOf(answer)).to.have.members(['/cursor', '/limit', '/user'])
    })
  })
})
