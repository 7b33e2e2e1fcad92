import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { firstAdmin } from '../support/admins.ts'
import { description, operations, resolve } from '../support/api-description.ts'
import type { Answer, ApiClient, Json } from '../support/client.ts'
import { aServiceClient, basicOf, type Credentials } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { readMails, subjects, tokenIn } from '../support/mailbox.ts'
import { ownPostgres, ownRedis } from '../support/own-stores.ts'
import { aPerson, password, uniqueEmail } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp } from '../support/smtp.ts'
import { ownDatabase } from '../support/stores.ts'

/** As whom an operation is asked for. */
interface Callers {
  person: string
  admin: string
  credentials: Credentials
}

interface Asked {
  /** In the place of what the operation demands; null for nothing. */
  token?: string | null
  body?: unknown
  contentType?: string
  queryString?: string
}

describe('what the description says of every operation', function () {
  this.timeout(120_000)
  let service: TestService
  let callers: Callers
  before(async () => {
    service = await startService()
    callers = await callersOf(service)
  })
  after(() => service.close())

  async function callersOf({ client }: TestService, env: Record<string, string> = {}): Promise<Callers> {
    const [person, admin, credentials] = [
      await aPerson(client),
      await firstAdmin(client, env),
      await aServiceClient(env),
    ]
    const { authorization } = credentials
    await eventually(async () => {
      const answer = await client.post('/oauth/introspect', { form: { token: 'x' }, headers: { authorization } })
      expect(answer.status).to.equal(200)
    })
    return { person: person.tokens.access_token, admin: admin.tokens.access_token, credentials }
  }

  const isForAdmins = ({ path }: { path: string }) => path.startsWith('/v1/admin')
  const demands = (operation: Json, scheme: string) =>
    (operation.security as Json[]).some((way) => scheme in way) && (operation.security as Json[]).length === 1
  const withStatus = (status: number) => operations.filter(({ operation }) => String(status) in operation.responses)
  const typeOf = (operation: Json) => Object.keys((operation.requestBody?.content ?? {}) as object)[0]
  const exampleOf = (operation: Json) => operation.requestBody?.content[typeOf(operation)!].example

  /** Asks for an operation as its description says, but for what is told. */
  async function ask(
    client: ApiClient,
    who: Callers,
    { method, path, operation }: (typeof operations)[number],
    { token, body, contentType, queryString = '' }: Asked = {},
  ): Promise<Answer> {
    const type = contentType ?? typeOf(operation)
    const sent = body === undefined ? exampleOf(operation) : body
    const bearer = isForAdmins({ path }) ? who.admin : who.person
    const authorization =
      token !== undefined
        ? token && `Bearer ${token}`
        : demands(operation, 'serviceClient')
          ? who.credentials.authorization
          : (operation.security as Json[]).some((way) => 'accessToken' in way)
            ? `Bearer ${bearer}`
            : null
    const text =
      sent === undefined || typeof sent === 'string'
        ? sent
        : type === 'application/x-www-form-urlencoded'
          ? new URLSearchParams(sent as Record<string, string>).toString()
          : JSON.stringify(sent)
    return client.call(method.toUpperCase(), path.replaceAll(/\{\w+\}/g, () => randomUUID()) + queryString, {
      ...(text !== undefined && { body: text }),
      headers: { ...(authorization && { authorization }), ...(type !== undefined && { 'content-type': type }) },
    })
  }

  it('is what the service tells of itself', async () => {
    const answer = await service.client.get('/openapi.json')

    expect(answer.status).to.equal(200)
    expect(answer.body).to.deep.equal(description)
  })

  it('is that nobody gets in without credentials, nor with wrong ones', async () => {
    for (const operation of withStatus(401).filter(({ operation: { security } }) => security.length === 1)) {
      expect((await ask(service.client, callers, operation, { token: null })).status, operation.path).to.equal(401)
      expect((await ask(service.client, callers, operation, { token: randomUUID() })).status, operation.path).to.equal(
        401,
      )
    }
  })

  it('is that people who are no admins are told so', async () => {
    for (const operation of operations.filter(isForAdmins))
      expect(
        (await ask(service.client, callers, operation, { token: callers.person })).status,
        operation.path,
      ).to.equal(403)
  })

  it('is that what is not there is not found', async () => {
    for (const operation of withStatus(404)) {
      const answer = await ask(service.client, callers, operation)
      expect(answer.status, `${operation.method} ${operation.path}: ${answer.text}`).to.equal(404)
    }
  })

  it('is that bodies and parameters are looked at', async () => {
    for (const operation of withStatus(400)) {
      const type = typeOf(operation.operation)
      const asked: Asked =
        operation.operation.parameters?.some((parameter: Json) => parameter.in === 'query') &&
        operation.method === 'get'
          ? { queryString: '?nothing=of-the-kind' }
          : type?.includes('form')
            ? { body: 'token=a&token=b' }
            : { body: '{"nothing":"of the kind"}', contentType: 'application/json' }
      const answer = await ask(service.client, callers, operation, asked)
      expect(answer.status, `${operation.method} ${operation.path}: ${answer.text}`).to.equal(400)
    }
  })

  it('is that bodies have bounds, and are of one kind', async () => {
    for (const operation of withStatus(413)) {
      const type = typeOf(operation.operation) ?? 'application/json'
      const body = type.includes('form') ? `token=${'a'.repeat(70_000)}` : JSON.stringify({ a: 'a'.repeat(70_000) })
      const name = `${operation.method} ${operation.path}`
      expect((await ask(service.client, callers, operation, { body, contentType: type })).status, name).to.equal(413)
      const other = await ask(service.client, callers, operation, { body: 'a', contentType: 'text/plain' })
      expect(other.status, name).to.equal(415)
    }
  })

  it('is that a URL has bounds', async () => {
    for (const operation of operations) {
      const queryString = `?${'a'.repeat(8192)}`
      const { status } = await ask(service.client, callers, operation, { queryString })
      expect(status, operation.path).to.equal(414)
    }
  })

  it('is that an address with too many wrong tokens has to wait', async () => {
    const strict = await startService({ SETTING_WRONG_TOKENS_PER_ADDRESS_MAX: '1' })
    await strict.client.protected(randomUUID())
    const wrong = { ...callers, credentials: { ...callers.credentials, authorization: basicOf('a', 'b') } }
    const spending = withStatus(429).filter(
      ({ path, operation: { security } }) => security.length > 0 || /reset-password|verify-email/.test(path),
    )
    for (const operation of spending) {
      const token = demands(operation.operation, 'serviceClient') ? {} : { token: randomUUID() }
      const body = operation.path === '/v1/auth/logout' ? { body: '{}' } : {}
      const { status, text } = await ask(strict.client, wrong, operation, { ...token, ...body })
      expect(status, `${operation.method} ${operation.path}: ${text}`).to.equal(429)
    }
  })

  it('is that a name or an address is one person’s', async () => {
    const [smtp, database] = await Promise.all([startSmtp(), ownDatabase()]) // in which no mail of others stands before
    const sending = await startService({ ...smtp.env, DATABASE_URL: database.url })
    await sending.migrated
    const { client } = sending
    const [ada, bob] = [await aPerson(client, { username: `u.${randomUUID().slice(0, 8)}` }), await aPerson(client)]
    const taken = await client.call('PUT', '/v1/me', {
      token: bob.tokens.access_token,
      body: { username: ada.tokens.user['username'] as string },
    })
    expect(taken.status, taken.text).to.equal(409)

    const wanted = uniqueEmail()
    const moving = { email: wanted, current_password: password }
    const asked = await client.call('PATCH', '/v1/me', { token: bob.tokens.access_token, body: moving })
    expect(asked.status, asked.text).to.equal(200)
    const token = tokenIn(await readMails(smtp).mailTo(wanted, subjects.newAddress))
    expect((await client.register({ email: wanted, password })).status).to.equal(201)
    expect((await client.post('/v1/auth/verify-email', { body: { token } })).status).to.equal(409)
    await sending.close()
    await smtp.stop()
    await database.drop()
  })

  it('is that the last admin stays one', async () => {
    const database = await ownDatabase()
    const env = { DATABASE_URL: database.url }
    const alone = await startService(env)
    await alone.migrated
    const { id, tokens } = await firstAdmin(alone.client, env)
    const call = (method: string, path: string, body?: unknown) =>
      alone.client.call(method, path, { token: tokens.access_token, ...(body !== undefined && { body }) })

    for (const answer of [
      await call('DELETE', '/v1/me', { current_password: password }),
      await call('DELETE', `/v1/admin/users/${id}`),
      await call('POST', `/v1/admin/users/${id}/disable`),
    ])
      expect([answer.status, answer.body.code], answer.text).to.deep.equal([409, 'last-admin'])
    await alone.close()
    await database.drop()
  })

  it('is that all but what needs no store says when a store is away', async () => {
    const [redis, postgres] = await Promise.all([ownRedis(), ownPostgres()])
    const env = { REDIS_URL: redis.url, DATABASE_URL: postgres.url }
    const alone = await startService(env)
    await alone.migrated
    const who = await callersOf(alone, env)
    await Promise.all([redis.kill(), postgres.kill()])

    for (const operation of operations) {
      const needsNone = /^\/(health\/live|version|openapi\.json|\.well-known)/.test(operation.path)
      const { status, text } = await ask(alone.client, who, operation)
      expect(status, `${operation.method} ${operation.path}: ${text}`).to.equal(needsNone ? 200 : 503)
      expect('503' in operation.operation.responses, operation.path).to.equal(!needsNone)
      if (!needsNone) expect(resolve(operation.operation.responses['503']).headers).to.have.property('Retry-After')
    }
    await alone.close()
    await Promise.all([redis.discard(), postgres.discard()])
  })
})
