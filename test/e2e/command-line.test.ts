import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { expect } from 'chai'
import knexModule, { type Knex } from 'knex'
import { migrationSource } from '../../migrations/index.ts'
import { migrate, migrationLock } from '../../src/platform/migrate.ts'
import { settingNames } from '../../src/settings/index.ts'
import { latchkey, startProcess, urlOf } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { databaseUrl, ownDatabase } from '../support/stores.ts'

describe('latchkey', function () {
  this.timeout(120_000)
  const away = { DATABASE_URL: 'postgres://127.0.0.1:1/none' }

  it('prints its version, and its help with examples, and exits with 0', async () => {
    const { version } = JSON.parse(fs.readFileSync('package.json', 'utf8')) as { version: string }

    expect(await latchkey(['--version'])).to.deep.equal({ code: 0, out: `${version}\n`, errors: '' })
    const { code, out } = await latchkey(['settings', 'set', '--help'])
    expect(code).to.equal(0)
    expect(out).to.match(/Examples:\n  \$ latchkey settings set access_token_ttl_seconds 300/)
  })

  it('says in a sentence what it does not understand, and exits with 2', async () => {
    for (const words of [['nonsense'], ['migrate', 'nonsense'], ['prune', '--nonsense'], ['mail', 'nonsense']]) {
      const { code, out, errors } = await latchkey(words)
      expect({ code, out }, words.join(' ')).to.deep.equal({ code: 2, out: '' })
      expect(errors)
        .to.match(/^error: [^\n]+\n/)
        .and.not.match(/^ +at /m)
    }
  })

  it('says in a sentence that PostgreSQL is away, and exits with 3', async () => {
    for (const words of [['migrate'], ['prune']]) {
      const { code, out, errors } = await latchkey(words, away)
      expect({ code, out }, words.join(' ')).to.deep.equal({ code: 3, out: '' })
      expect(errors).to.match(/^PostgreSQL or Redis does not answer[^\n]+\n$/)
    }
  })
})

describe('latchkey migrate', function () {
  this.timeout(120_000)
  let database: Awaited<ReturnType<typeof ownDatabase>>
  beforeEach(async () => {
    database = await ownDatabase()
  })
  afterEach(() => database.drop())

  it('brings an empty database up to date, says how many migrations ran, and then that none was left', async () => {
    const count = (await migrationSource.getMigrations([])).length
    const env = { DATABASE_URL: database.url }

    expect(await latchkey(['migrate'], env)).to.deep.equal({ code: 0, out: `${count} migrations ran.\n`, errors: '' })
    expect(await latchkey(['migrate'], env)).to.include({ code: 0, out: 'The schema is up to date.\n' })
    expect((await latchkey(['mail', 'list'], env)).code).to.equal(0)
  })

  it('waits for whoever is migrating already', async () => {
    const knex = knexModule({ client: 'pg', connection: database.url, pool: { min: 0, max: 1 } })
    let ended = false
    const holding = await knex.transaction()
    await holding.raw('select pg_advisory_xact_lock(?)', [migrationLock])
    const migrating = latchkey(['migrate'], { DATABASE_URL: database.url }).finally(() => (ended = true))
    await eventually(async () => {
      const { rows } = (await holding.raw(
        `select 1 from pg_locks where locktype = 'advisory' and objid = ? and not granted`,
        [migrationLock],
      )) as { rows: unknown[] }
      expect(rows).to.have.length(1)
    }, 20_000)

    expect(ended).to.equal(false)
    await holding.rollback()
    expect((await migrating).out).to.match(/^\d+ migrations ran\.\n$/)
    await knex.destroy()
  })
})

describe('latchkey serve', function () {
  this.timeout(60_000)

  it('serves until SIGTERM, and exits with 0', async () => {
    const running = startProcess({}, 'cli/main', ['serve'])

    const url = await urlOf(running)
    expect((await fetch(`${url}/version`)).status).to.equal(200)
    running.process.kill('SIGTERM')
    expect(await running.exitCode).to.equal(0)
  })
})

describe('latchkey prune', function () {
  this.timeout(60_000)
  let database: Awaited<ReturnType<typeof ownDatabase>>
  let knex: Knex
  before(async () => {
    database = await ownDatabase()
    await migrate(database.url, migrationSource)
    knex = knexModule({ client: 'pg', connection: database.url, pool: { min: 0, max: 1 } })
  })
  after(async () => {
    await knex.destroy()
    await database.drop()
  })

  it('deletes what has lapsed at once, in as many steps as it takes, and says how much that was', async () => {
    const [userId, longAgo, now] = [randomUUID(), new Date(0), new Date()]
    const lapsed = 12_345
    await knex.raw(
      `insert into session_endings (session_id, user_id, reason, ended_at)
        select gen_random_uuid(), ?, 'revoked', ? from generate_series(1, ?)`,
      [userId, longAgo, lapsed],
    )
    const event = { event: 'login.failed', actor: 'stranger', detail: '{}' }
    await knex('audit_events').insert([
      { ...event, id: randomUUID(), at: longAgo },
      { ...event, id: randomUUID(), at: now },
    ])
    await knex('session_endings').insert({
      session_id: randomUUID(),
      user_id: userId,
      reason: 'revoked',
      ended_at: now,
    })

    const { code, out } = await latchkey(['prune'], { DATABASE_URL: database.url })

    expect(code).to.equal(0)
    expect(out.trim().split('\n')).to.have.members([
      '0 mails deleted.',
      '0 links deleted.',
      `${lapsed} endings deleted.`,
      '1 audit events deleted.',
    ])
    for (const table of ['session_endings', 'audit_events']) expect(await knex(table), table).to.have.length(1)
    expect(
      JSON.parse((await latchkey(['prune', '--json'], { DATABASE_URL: database.url })).out.split('\n')[0]!),
    ).to.deep.equal({ deleted: 'mails', count: 0 })
  })
})

describe('latchkey mail', function () {
  this.timeout(60_000)
  let knex: Knex
  const failed = randomUUID()
  const sent = randomUUID()
  before(async () => {
    await migrate(databaseUrl(), migrationSource)
    knex = knexModule({ client: 'pg', connection: databaseUrl(), pool: { min: 0, max: 1 } })
    const mail = {
      kind: 'password-changed',
      user_id: randomUUID(),
      address: 'ada@example.com',
      facts: '{}',
      message_id: '<x@mail.example>',
      gives_up_at: new Date(),
      attempts: 1,
    }
    await knex('mails').insert([
      { ...mail, id: failed, status: 'failed', last_error: '550 5.1.1 at RCPT TO' },
      { ...mail, id: sent, status: 'sent', sent_at: new Date() },
    ])
  })
  after(async () => {
    await knex('mails').whereIn('id', [failed, sent]).del()
    await knex.raw('select 1 from graphile_worker.remove_job(?)', [`mail:${failed}`])
    await knex.destroy()
  })

  it('lists the mails of one status, one a line', async () => {
    const { code, out } = await latchkey(['mail', 'list', '--status', 'failed'])

    expect(code).to.equal(0)
    const row = out.split('\n').find((line) => line.startsWith(failed))!
    expect(row.split('\t')).to.include.members([
      'password-changed',
      'ada@example.com',
      'failed',
      '550 5.1.1 at RCPT TO',
    ])
    expect(out).to.not.include(sent)
  })

  it('lists them as JSON for scripts', async () => {
    const { out } = await latchkey(['mail', 'list', '--json'])

    const items = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string })
    expect(items.find(({ id }) => id === failed)).to.include({ status: 'failed', last_error: '550 5.1.1 at RCPT TO' })
  })

  it('queues a failed mail once more, and only a failed one', async () => {
    expect(await latchkey(['mail', 'retry', failed])).to.include({ code: 0, out: 'The mail is queued again.\n' })
    expect((await knex('mails').where({ id: failed }).first()).status).to.equal('queued')

    const again = await latchkey(['mail', 'retry', sent])
    expect(again).to.include({ code: 1, errors: 'This mail has not failed, so it is not sent again.\n' })
  })

  it('says so when there is no such mail, and exits with 1', async () => {
    for (const id of [randomUUID(), 'nonsense'])
      expect(await latchkey(['mail', 'retry', id])).to.deep.equal({
        code: 1,
        out: '',
        errors: 'There is no mail with this id.\n',
      })
  })

  it('says so when PostgreSQL is away, or the environment is not usable', async () => {
    const away = await latchkey(['mail', 'list'], { DATABASE_URL: 'postgres://127.0.0.1:1/none' })
    expect(away.code).to.equal(3)
    expect(away.errors).to.match(/^PostgreSQL or Redis does not answer/)

    const unusable = await latchkey(['mail', 'list'], { DATABASE_URL: '' })
    expect(unusable.code).to.equal(1)
    expect(unusable.errors).to.include('DATABASE_URL must be set')
  })
})

describe('latchkey clients', function () {
  this.timeout(60_000)
  const lines = (out: string) => out.trim().split('\n')

  it('shows the secret of a new client once, in the answer to its creation', async () => {
    const { code, out, errors } = await latchkey(['clients', 'create', '--name', 'orders'])

    expect(code).to.equal(0)
    const [, id, secret] = /^id {6}([0-9a-f-]{36})\nsecret {2}([\w-]{43})\n$/.exec(out)!
    expect(errors).to.include('not shown again')
    const listed = await latchkey(['clients', 'list'])
    expect(
      lines(listed.out)
        .find((line) => line.startsWith(id!))!
        .split('\t')[1],
    ).to.equal('orders')
    expect(listed.out + (await latchkey(['clients', 'list', '--json'])).out).to.not.include(secret)
  })

  it('revokes a client, once and for good', async () => {
    const { out } = await latchkey(['clients', 'create', '--name', 'orders', '--json'])
    const { id, revoked_at } = JSON.parse(out) as { id: string; revoked_at: null }
    expect(revoked_at).to.equal(null)

    for (let i = 0; i < 2; i++)
      expect(await latchkey(['clients', 'revoke', id])).to.include({ code: 0, out: 'The client is revoked.\n' })

    const listed = lines((await latchkey(['clients', 'list', '--json'])).out)
      .map((line) => JSON.parse(line) as { id: string; revoked_at: string })
      .find((client) => client.id === id)!
    expect(Date.parse(listed.revoked_at)).to.be.closeTo(Date.now(), 60_000)
  })

  it('says so when there is no such client, or the name cannot be one, and exits with 1', async () => {
    for (const id of [randomUUID(), 'nonsense'])
      expect(await latchkey(['clients', 'revoke', id])).to.deep.equal({
        code: 1,
        out: '',
        errors: 'There is no client with this id.\n',
      })
    expect(await latchkey(['clients', 'create', '--name', ' '])).to.deep.equal({
      code: 2,
      out: '',
      errors: 'name must be 1 to 100 printable characters.\n',
    })
  })
})

describe('latchkey settings', function () {
  this.timeout(120_000)
  let database: Awaited<ReturnType<typeof ownDatabase>>
  let knex: Knex
  const settings = (...args: string[]) => latchkey(['settings', ...args], { DATABASE_URL: database.url })

  before(async () => {
    database = await ownDatabase()
    await migrate(database.url, migrationSource)
    knex = knexModule({ client: 'pg', connection: database.url, pool: { min: 0, max: 1 } })
  })
  after(async () => {
    await knex.destroy()
    await database.drop()
  })

  it('changes one, shows it, and puts it back, with an audit event for each change', async () => {
    expect(await settings('get', 'refresh_grace_seconds')).to.include({ code: 0, out: '30\n' })

    expect(await settings('set', 'refresh_grace_seconds', '5')).to.deep.equal({
      code: 0,
      out: 'refresh_grace_seconds is 5 now.\n',
      errors: '',
    })
    expect(await settings('get', 'refresh_grace_seconds')).to.include({ out: '5\n' })
    expect(await settings('set', 'sign_in_notices', 'false')).to.include({ out: 'sign_in_notices is false now.\n' })
    expect(await settings('unset', 'refresh_grace_seconds')).to.include({
      code: 0,
      out: 'refresh_grace_seconds is 30 now.\n',
    })

    expect(await knex('audit_events').select('event', 'actor', 'actor_id', 'detail').orderBy('id')).to.deep.equal(
      [
        { name: 'refresh_grace_seconds', from: null, to: 5 },
        { name: 'sign_in_notices', from: null, to: false },
        { name: 'refresh_grace_seconds', from: 5, to: null },
      ].map((detail) => ({ event: 'setting.changed', actor: 'operator', actor_id: null, detail })),
    )
  })

  it('lists them all, one a line, with value, start value, bounds and meaning', async () => {
    const { code, out } = await settings('list')

    expect(code).to.equal(0)
    const rows = out.trim().split('\n')
    expect(rows).to.have.length(settingNames.length)
    expect(rows[0]!.split('\t')).to.deep.equal([
      'access_token_ttl_seconds',
      '900',
      '900',
      '1 to 86400',
      '',
      'How long an access token lives.',
    ])
  })

  it('lists and shows them as JSON for scripts', async () => {
    await settings('set', 'password_min_length', '15')

    const [listed, shown] = await Promise.all([
      settings('list', '--json'),
      settings('get', 'password_min_length', '--json'),
    ])

    const all = listed.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { name: string; changed_at: string })
    const one = all.find(({ name }) => name === 'password_min_length')!
    expect(one).to.deep.include({ type: 'integer', value: 15, start_value: 8, bounds: { min: 8, max: 64 } })
    expect(Date.parse(one.changed_at)).to.be.closeTo(Date.now(), 60_000)
    expect(JSON.parse(shown.out)).to.deep.equal(one)
  })

  it('says what is wrong, with the bounds, and exits with 2', async () => {
    const refusals = {
      'refresh_grace_seconds 301': 'refresh_grace_seconds must be a whole number from 0 to 300.\n',
      'refresh_grace_seconds true': 'refresh_grace_seconds must be a whole number from 0 to 300.\n',
      'sign_in_notices yes': 'sign_in_notices must be true or false.\n',
      'no_such_thing 1': 'no_such_thing is no setting.\n',
    }
    for (const [words, errors] of Object.entries(refusals))
      expect(await settings('set', ...words.split(' ')), words).to.deep.equal({ code: 2, out: '', errors })
    for (const word of ['get', 'unset'])
      expect(await settings(word, 'no_such_thing')).to.deep.equal({
        code: 2,
        out: '',
        errors: 'no_such_thing is no setting.\n',
      })
    for (const words of [['set', 'refresh_grace_seconds'], ['nonsense'], ['list', '--nonsense']]) {
      const { code, errors } = await settings(...words)
      expect(code, words.join(' ')).to.equal(2)
      expect(errors).to.match(/error: |Usage: /)
    }
    expect((await settings('--help')).code).to.equal(0)
  })

  it('says so when PostgreSQL is away, and exits with 3', async () => {
    const away = { DATABASE_URL: 'postgres://127.0.0.1:1/none' }
    for (const words of [['list'], ['get', 'sign_in_notices'], ['set', 'sign_in_notices', 'true']]) {
      const { code, out, errors } = await latchkey(['settings', ...words], away)
      expect({ code, out }).to.deep.equal({ code: 3, out: '' })
      expect(errors).to.match(/^PostgreSQL or Redis does not answer/)
    }
  })
})
