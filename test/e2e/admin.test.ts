import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { routes } from '../../src/http/index.ts'
import { anotherAdmin, firstAdmin } from '../support/admins.ts'
import { expectProblem, pointersOf, type Answer, type ApiClient, type Json } from '../support/client.ts'
import { aPerson, aSession, password, uniqueEmail, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'

const adminRoutes = routes.filter(({ auth }) => auth === 'admin')

describe('the admin API', () => {
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

  const asAdmin = (method: string, path: string, body?: unknown, by = admin) =>
    client.call(method, `/v1/admin${path}`, { token: by.tokens.access_token, ...(body !== undefined && { body }) })
  const patch = (id: string, body: unknown) => asAdmin('PATCH', `/users/${id}`, body)
  const idsOf = (answer: Answer) => (answer.body.items as { id: string }[]).map(({ id }) => id)

  describe('is for admins only:', () => {
    for (const { method, path } of adminRoutes)
      it(`${method.toUpperCase()} ${path} refuses no token, an unknown one, and a person who is no admin`, async () => {
        const someone = await aPerson(client)
        const at = path.replaceAll(/:\w+/g, () => randomUUID())
        const call = (token?: string) => client.call(method.toUpperCase(), at, { token })

        expectProblem(await call(), 401, 'authentication-required')
        expectProblem(await call(randomUUID()), 401, 'invalid-token', 'unknown')
        expectProblem(await call(someone.tokens.access_token), 403, 'forbidden')
      })

    it('whoever loses the role is refused with the next request, also when they take it from themselves', async () => {
      const other = await anotherAdmin(client, admin)
      expect((await asAdmin('GET', '/users', undefined, other)).status).to.equal(200)

      expect((await asAdmin('PATCH', `/users/${other.id}`, { role: 'user' }, other)).body.role).to.equal('user')

      expectProblem(await asAdmin('GET', '/users', undefined, other), 403, 'forbidden')
      expectProblem(await asAdmin('PATCH', `/users/${other.id}`, { role: 'admin' }, other), 403, 'forbidden')
    })

    it('a disabled admin is refused', async () => {
      const other = await anotherAdmin(client, admin)
      await asAdmin('POST', `/users/${other.id}/disable`)

      expectProblem(await asAdmin('GET', '/users', undefined, other), 401, 'invalid-token', 'disabled')
    })
  })

  it('knows nobody under an id that nobody has, or that cannot be one', async () => {
    const bodies: Record<string, unknown> = { patch: { name: 'Ada' } }
    for (const { method, path } of adminRoutes.filter((route) => route.path.includes(':user_id')))
      for (const id of [randomUUID(), 'nonsense', '1', encodeURIComponent("' or 1=1")]) {
        const at = path.replaceAll(/:\w+/g, () => id)
        const answer = await client.call(method.toUpperCase(), at, {
          token: admin.tokens.access_token,
          ...(bodies[method] !== undefined && { body: bodies[method] }),
        })
        expectProblem(answer, 404, 'not-found')
      }
  })

  describe('finding people', () => {
    const find = (query: string, more = '') => asAdmin('GET', `/users?query=${encodeURIComponent(query)}${more}`)

    it('shows each account as it is, without what belongs to nobody else', async () => {
      const someone = await aPerson(client, { name: 'Ada' })

      const { body } = await find(someone.email)

      expect(body).to.deep.equal({ items: [{ ...someone.tokens.user, disabled_at: null }], next_cursor: null })
    })

    it('goes by the id, and by what e-mail address, username or name begins with, in any case', async () => {
      const tag = randomUUID().slice(0, 8)
      const someone = await aPerson(client, { username: `Grace-${tag}`, name: `Élodie ${tag}` })

      for (const query of [
        someone.id,
        someone.id.toUpperCase(),
        someone.email,
        someone.email.toUpperCase(),
        someone.email.slice(0, 20),
        `grace-${tag}`,
        `GRACE-${tag.slice(0, 6)}`,
        `élodie ${tag}`,
        `ÉLODIE ${tag.slice(0, 6)}`,
      ])
        expect(idsOf(await find(query)), query).to.deep.equal([someone.id])
      for (const query of [tag, someone.email.slice(1), randomUUID()])
        expect(idsOf(await find(query)), query).to.deep.equal([])
    })

    it('takes what means something to SQL or LIKE for what it is', async () => {
      const tag = randomUUID()
      const someone = await aPerson(client, { name: `50%_\\ off ${tag}` })

      expect(idsOf(await find(`50%_\\ off ${tag}`))).to.deep.equal([someone.id])
      for (const query of [`50%off ${tag}`, `%${tag}`, `50_`, `__%_\\ off ${tag}`, '%', '_', '\\', `' or ''='`])
        expect(idsOf(await find(query)), query).to.not.include(someone.id)
    })

    it('goes page by page, newest first, each person once, also when several came at one instant', async () => {
      const tag = `page-${randomUUID().slice(0, 8)}`
      const ids: string[] = []
      for (let i = 0; i < 5; i++) ids.push((await aPerson(client, { username: `${tag}-${i}` })).id)

      const seen: string[] = []
      let cursor: string | null = ''
      while (cursor !== null) {
        const answer: Answer = await find(tag, `&limit=2${cursor && `&cursor=${cursor}`}`)
        expect(answer.body.items.length).to.be.at.most(2)
        seen.push(...idsOf(answer))
        cursor = answer.body.next_cursor as string | null
      }

      expect(seen).to.have.members(ids).and.have.length(ids.length)
    })

    it('refuses a cursor that it has not given, and asks no database', async () => {
      const audit = Buffer.from(randomUUID()).toString('base64url')
      const forged = [
        'nonsense',
        randomUUID(),
        audit,
        '%27',
        ...[
          `1.${randomUUID()}'`,
          `1'.${randomUUID()}`,
          `${'9'.repeat(17)}.${randomUUID()}`,
          '1.2',
          `-1.${randomUUID()}`,
        ].map((text) => Buffer.from(text).toString('base64url')),
        `${Buffer.from(`1.${randomUUID()}`).toString('base64url')}==`,
        'a'.repeat(1000),
      ]
      for (const cursor of ['', ...forged]) {
        const answer = await asAdmin('GET', `/users?cursor=${cursor}`)
        expectProblem(answer, 400, 'validation-failed')
        expect(pointersOf(answer), cursor).to.deep.equal(['/cursor'])
      }
    })

    it('names every parameter that is unknown, repeated or out of bounds', async () => {
      const faulty: Record<string, string[]> = {
        'nonsense=1': ['/nonsense'],
        'query=a&query=b': ['/query'],
        'limit=1&limit=1&sort=x': ['/limit', '/sort'],
        'limit=0': ['/limit'],
        'limit=101': ['/limit'],
        'limit=1e1': ['/limit'],
        'query=': ['/query'],
        'query=%00': ['/query'],
        [`query=${'a'.repeat(255)}`]: ['/query'],
        'query[]=a': ['/query[]'],
      }
      for (const [parameters, pointers] of Object.entries(faulty)) {
        const answer = await asAdmin('GET', `/users?${parameters}`)
        expectProblem(answer, 400, 'validation-failed')
        expect(pointersOf(answer), parameters).to.deep.equal(pointers)
      }
    })
  })

  describe('creating an account', () => {
    it('makes one that nobody can log in to yet', async () => {
      const email = uniqueEmail()

      const answer = await asAdmin('POST', '/users', { email: email.toUpperCase(), name: 'Ada', role: 'admin' })

      expect(answer.status).to.equal(201)
      expect(answer.body).to.include({ email, name: 'Ada', username: null, role: 'admin', email_verified: false })
      expect(answer.headers.get('location')).to.equal(`/v1/admin/users/${answer.body.id}`)
      expect((await asAdmin('GET', `/users/${answer.body.id}`)).body).to.deep.equal(answer.body)
      for (const text of ['', password, '!'])
        expectProblem(await client.login({ email, password: text }), 401, 'invalid-credentials')
    })

    it('refuses an address or a username that somebody has', async () => {
      const someone = await aPerson(client, { username: `u-${randomUUID().slice(0, 8)}` })
      const { email, username } = someone.tokens.user as Json

      expectProblem(await asAdmin('POST', '/users', { email }), 409, 'email-taken')
      const body = { email: uniqueEmail(), username: username.toUpperCase() }
      expectProblem(await asAdmin('POST', '/users', body), 409, 'username-taken')
    })

    it('names every member at fault, and takes no password and nothing else that is not for admins', async () => {
      const answer = await asAdmin('POST', '/users', { email: 'x', username: '@', name: '\n', role: 'root' })
      expectProblem(answer, 400, 'validation-failed')
      expect(pointersOf(answer)).to.have.members(['/email', '/username', '/name', '/role'])

      const members = ['password', 'password_hash', 'id', 'email_verified', 'disabled_at', 'session_epoch']
      const more = await asAdmin('POST', '/users', {
        email: uniqueEmail(),
        ...Object.fromEntries(members.map((member) => [member, null])),
      })
      expectProblem(more, 400, 'validation-failed')
      expect(pointersOf(more)).to.have.members(members.map((member) => `/${member}`))
    })
  })

  describe('editing an account', () => {
    it('changes the members that are named and no other; null clears', async () => {
      const someone = await aPerson(client, { name: 'Ada' })
      const username = `u-${randomUUID().slice(0, 8)}`

      expect((await patch(someone.id, { username })).body).to.include({ username, name: 'Ada', role: 'user' })
      expect((await patch(someone.id, { name: null })).body).to.include({ username, name: null, role: 'user' })
      expect((await patch(someone.id, { role: 'admin' })).body).to.include({ username, name: null, role: 'admin' })
      expect((await client.me(someone.tokens.access_token)).body).to.include({ username, name: null, role: 'admin' })
    })

    it('names every member at fault, and refuses an empty change', async () => {
      const { id } = await aPerson(client)
      const faulty: [unknown, string[]][] = [
        [{ username: '@', name: '', role: 'root' }, ['/username', '/name', '/role']],
        [{ email: uniqueEmail(), password }, ['/email', '/password']],
        [{ role: null }, ['/role']],
        [{}, ['']],
        [[], ['']],
      ]
      for (const [body, pointers] of faulty) {
        const answer = await patch(id, body)
        expectProblem(answer, 400, 'validation-failed')
        expect(pointersOf(answer), JSON.stringify(body)).to.have.members(pointers)
      }
    })

    it('refuses a username that somebody has', async () => {
      const username = `u-${randomUUID().slice(0, 8)}`
      await aPerson(client, { username })
      expectProblem(await patch((await aPerson(client)).id, { username, name: 'Ada' }), 409, 'username-taken')
    })
  })

  describe('disabling and deleting', () => {
    it('ends every session at once; enabling lets the person log in again and brings nothing back', async () => {
      const someone = await aPerson(client)
      const other = await aSession(client, someone)

      const disabled = await asAdmin('POST', `/users/${someone.id.toUpperCase()}/disable`)

      expect(disabled.body.disabled_at).to.be.a('string')
      for (const { access_token } of [someone.tokens, other])
        expectProblem(await client.me(access_token), 401, 'invalid-token', 'disabled')
      expectProblem(await client.login({ email: someone.email, password }), 401, 'invalid-credentials')
      expect((await asAdmin('POST', `/users/${someone.id}/enable`)).body.disabled_at).to.equal(null)
      for (const { access_token } of [someone.tokens, other])
        expectProblem(await client.me(access_token), 401, 'invalid-token', 'disabled')
      expect((await client.login({ email: someone.email, password })).status).to.equal(200)
    })

    it('deleting takes the account away with all its sessions, and frees its address', async () => {
      const someone = await aPerson(client)

      expect((await asAdmin('DELETE', `/users/${someone.id}`)).status).to.equal(204)

      expectProblem(await client.me(someone.tokens.access_token), 401, 'invalid-token', 'revoked')
      expectProblem(await asAdmin('GET', `/users/${someone.id}`), 404, 'not-found')
      expectProblem(await asAdmin('DELETE', `/users/${someone.id}`), 404, 'not-found')
      expect((await client.register({ email: someone.email, password })).status).to.equal(201)
    })
  })

  describe('a person’s sessions', () => {
    it('are listed, and ended one or all', async () => {
      const someone = await aPerson(client, { device_name: 'laptop' })
      const other = await aSession(client, someone)
      const third = await aSession(client, someone)
      const list = () => asAdmin('GET', `/users/${someone.id}/sessions`)

      expect(idsOf(await list())).to.have.members([someone.tokens, other, third].map(({ session }) => session.id))
      expect((await list()).body.items.map(({ current }: Json) => current)).to.deep.equal([false, false, false])

      expect((await asAdmin('DELETE', `/sessions/${someone.id}/${other.session.id}`)).status).to.equal(204)
      expectProblem(await client.me(other.access_token), 401, 'invalid-token', 'revoked')
      expect((await client.me(third.access_token)).status).to.equal(200)
      expectProblem(await asAdmin('DELETE', `/sessions/${someone.id}/${other.session.id}`), 404, 'not-found')

      // Written in capitals, an id is the same one.
      const ended = await asAdmin('DELETE', `/users/${someone.id.toUpperCase()}/sessions`)
      expect(ended.body).to.deep.equal({ revoked: 2 })
      for (const { access_token, refresh_token } of [someone.tokens, third]) {
        expectProblem(await client.me(access_token), 401, 'invalid-token', 'revoked')
        expectProblem(await client.refresh(refresh_token), 401, 'invalid-refresh-token', 'ended')
      }
      expect((await list()).body.items).to.deep.equal([])
    })

    it('are not ended under another person’s id', async () => {
      const [someone, other] = [await aPerson(client), await aPerson(client)]

      expectProblem(await asAdmin('DELETE', `/sessions/${other.id}/${someone.tokens.session.id}`), 404, 'not-found')
      expect((await client.me(someone.tokens.access_token)).status).to.equal(200)
    })
  })
})
