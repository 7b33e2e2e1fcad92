import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { expectProblem, type ApiClient } from '../support/client.ts'
import { latchkey } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { aPerson, aSession, password, uniqueEmail } from '../support/people.ts'
import { sendRaw } from '../support/raw.ts'
import { startService, type TestService } from '../support/service.ts'
import { keyPrefix, operatorsRedis, ownDatabase } from '../support/stores.ts'

/** The commands run on the stores; the API beside them shows that their effect is there with the next request. */
describe('latchkey users and latchkey sessions', function () {
  this.timeout(120_000)
  let database: Awaited<ReturnType<typeof ownDatabase>>
  let service: TestService
  let client: ApiClient
  before(async () => {
    database = await ownDatabase()
    service = await startService(
      { DATABASE_URL: database.url },
      { clock: { now: () => Date.now(), pass: () => undefined } },
    )
    client = service.client
    await eventually(async () => expect((await client.get('/health/ready')).status).to.equal(200), 20_000)
  })
  after(async () => {
    await service.close()
    await database.drop()
  })

  const run = (args: string[], piped?: string) => latchkey(args, { DATABASE_URL: database.url }, piped)

  it('creates the first admin, with a password from standard input', async () => {
    const email = uniqueEmail()

    const made = await run(
      ['users', 'create', '--admin', '--email', email, '--password-stdin', '--json'],
      `${password}\n`,
    )

    expect(made).to.include({ code: 0, errors: '' })
    expect(JSON.parse(made.out)).to.include({ email, role: 'admin', disabled_at: null })
    expect(made.out).to.not.include(password).and.not.include('argon2')
    const login = await client.login({ email, password })
    const token = login.body.access_token as string
    expect((await client.get('/v1/admin/users', token)).status).to.equal(200)

    for (const [command, sentence] of [
      [['users', 'disable', email], 'This is the last admin.'],
      [['users', 'role', email, 'user'], 'This is the last admin.'],
      [['users', 'create', '--email', email], 'This e-mail address has an account already.'],
    ] as const) {
      const refused = await run([...command])
      expect(refused).to.include({ code: 1, out: '' })
      expect(refused.errors).to.include(sentence)
    }
    const audit = await client.get(`/v1/admin/audit?user=${login.body.user.id}&event=account.created`, token)
    expect(audit.body.items[0].actor).to.deep.equal({ kind: 'operator', id: null, ip: null, user_agent: null })
  })

  it('creates nothing for a password that is refused, or for what is no address', async () => {
    const email = uniqueEmail()
    const weak = await run(['users', 'create', '--email', email, '--password-stdin'], 'short')
    expect(weak.code).to.equal(1)
    expect(weak.errors).to.equal('password must have at least 8 characters.\n')
    const faulty = await run(['users', 'create', '--email', 'nonsense', '--username', '@'])
    expect(faulty.code).to.equal(2)
    expect(faulty.errors).to.match(/^email must be .*\nusername must be .*\n$/)
    expect(await run(['users', 'create', '--email', email, '--password', 'x'])).to.include({ code: 2, out: '' })
    expect(await run(['users', 'show', email])).to.include({ code: 1, out: '' })
  })

  it('lists and shows people, one a line with tabs between, or as JSON', async () => {
    const tag = `cli-${randomUUID().slice(0, 8)}`
    const people = [await aPerson(client, { username: `${tag}-1` }), await aPerson(client, { username: `${tag}-2` })]

    const { out } = await run(['users', 'list', tag.toUpperCase()])
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => line.split('\t').slice(0, 3)),
    ).to.deep.equal(people.toReversed().map(({ id, email, tokens }) => [id, email, tokens.user['username']]))
    for (const who of [people[0]!.id, people[0]!.email, `${tag}-1`.toUpperCase()])
      expect(JSON.parse((await run(['users', 'show', who, '--json'])).out), who).to.include({ id: people[0]!.id })
    expect(await run(['users', 'show', randomUUID()])).to.deep.equal({
      code: 1,
      out: '',
      errors: 'There is no such person, or no such session.\n',
    })
  })

  it('disables and enables an account, and gives it another role', async () => {
    const someone = await aPerson(client)

    expect((await run(['users', 'role', someone.email, 'admin'])).code).to.equal(0)
    expect((await client.get('/v1/admin/users?limit=1', someone.tokens.access_token)).status).to.equal(200)
    expect((await run(['users', 'disable', someone.email])).code).to.equal(0)
    expectProblem(await client.me(someone.tokens.access_token), 401, 'invalid-token', 'disabled')
    expect((await run(['users', 'enable', someone.email])).code).to.equal(0)
    expect((await client.login({ email: someone.email, password })).status).to.equal(200)
    expect(await run(['users', 'role', someone.email, 'root'])).to.include({ code: 2, out: '' })
  })

  it('lists, shows and ends sessions, also by a token on standard input', async () => {
    const someone = await aPerson(client, { device_name: 'laptop' })
    const other = await aSession(client, someone)
    const { id } = someone.tokens.session

    const listed = (await run(['sessions', 'list', someone.email])).out.trim().split('\n')
    expect(listed.map((line) => line.split('\t')[0])).to.have.members([id, other.session.id])
    expect((await run(['sessions', 'show', id])).out.split('\t').slice(0, 4)).to.deep.equal([
      id,
      someone.id,
      'laptop',
      '127.0.0.1',
    ])
    for (const token of [someone.tokens.access_token, someone.tokens.refresh_token])
      expect(JSON.parse((await run(['sessions', 'show', '-', '--json'], `${token}\n`)).out)).to.include({ id })

    // A key of another type, which an operator has left there, does not stop the search.
    const stray = `${keyPrefix}sessions:{${randomUUID()}}`
    await operatorsRedis().set(stray, 'text')
    expect(await run(['sessions', 'revoke', id])).to.include({ code: 0 })
    await operatorsRedis().del(stray)
    expectProblem(await client.me(someone.tokens.access_token), 401, 'invalid-token', 'revoked')
    expect((await client.me(other.access_token)).status).to.equal(200)
    expect(await run(['sessions', 'revoke', id])).to.include({ code: 1, out: '' })
    expect(await run(['sessions', 'show', '-'], someone.tokens.access_token)).to.deep.equal({
      code: 1,
      out: '',
      errors: `Session ${id} of ${someone.id}: revoked.\n`,
    })

    expect(await run(['sessions', 'revoke-user', someone.email])).to.include({ code: 0, out: '1 session ended.\n' })
    expectProblem(await client.refresh(other.refresh_token), 401, 'invalid-refresh-token', 'ended')
    for (const nothing of [randomUUID(), 'user', '*'])
      expect((await run(['sessions', 'show', nothing])).code).to.equal(1)
    expect((await run(['sessions', 'show', '-'], randomUUID())).code).to.equal(1)
  })

  it('writes out what a stranger has sent to a terminal or a reader of tabs in the name of their browser', async () => {
    const someone = await aPerson(client)
    const body = JSON.stringify({ email: someone.email, password })
    const head = [
      'POST /v1/auth/login HTTP/1.1',
      'Host: localhost',
      'User-Agent: a\tb \x9b2J \x9d0;c\x9c',
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      'Connection: close',
    ]
    const { status } = await sendRaw(service.url, Buffer.from([...head, '', body].join('\r\n'), 'latin1'))
    expect(status).to.equal(200)

    const { out } = await run(['sessions', 'list', someone.email])

    const agents = out
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t').at(7))
    expect(agents).to.include(String.raw`a\u0009b \u009b2J \u009d0;c\u009c`)
    expect(out).to.not.match(/[^\P{Cc}\t\n]/u)
    const json = (await run(['sessions', 'list', someone.email, '--json'])).out
    expect(json).to.not.match(/[^\P{Cc}\n]/u)
    const told = json
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { user_agent: string })
    expect(told.map(({ user_agent }) => user_agent)).to.include('a\tb \u009b2J \u009d0;c\u009c')
  })

  it('says so when a store is away', async () => {
    const { id } = await aPerson(client)
    for (const [command, env] of [
      [['users', 'list'], { DATABASE_URL: 'postgres://127.0.0.1:1/none' }],
      [['users', 'disable', id], { DATABASE_URL: database.url, REDIS_URL: 'redis://127.0.0.1:1' }],
    ] as const) {
      const away = await latchkey([...command], env)
      expect(away).to.include({ code: 3, out: '' })
      expect(away.errors).to.match(/^PostgreSQL or Redis does not answer, or the migrations have not run\./)
    }
  })
})
