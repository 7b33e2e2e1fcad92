import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import knexModule, { type Knex } from 'knex'
import { migrationSource } from '../../migrations/index.ts'
import { importBatchMax } from '../../src/accounts/index.ts'
import { importLock } from '../../src/accounts/users-table.ts'
import { migrate } from '../../src/platform/migrate.ts'
import { latchkey } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { uniqueEmail } from '../support/people.ts'
import { startService } from '../support/service.ts'
import { databaseUrl, ownDatabase } from '../support/stores.ts'

/** Of `correct horse battery staple`, made by Django. */
const djangos = 'pbkdf2_sha256$260000$seasalt$E2mD54hHRBD9/QaYlRQ0tKByc/hoeW8FUsx1qlfLA7A='
/** Of `U*U`, made by crypt_blowfish. */
const bcrypts = '$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'

describe('latchkey users import', function () {
  this.timeout(120_000)
  let database: Awaited<ReturnType<typeof ownDatabase>>
  let knex: Knex
  let folder: string
  const env = () => ({ DATABASE_URL: database.url })

  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-import-'))
    database = await ownDatabase()
    await migrate(database.url, migrationSource)
    knex = knexModule({ client: 'pg', connection: database.url, pool: { min: 0, max: 2 } })
  })
  after(async () => {
    await knex.destroy()
    await database.drop()
    fs.rmSync(folder, { recursive: true, force: true })
  })

  const fileOf = (name: string, text: string | Buffer) => {
    const file = path.join(folder, name)
    fs.writeFileSync(file, text)
    return file
  }
  const ndjson = (...people: unknown[]) => people.map((person) => `${JSON.stringify(person)}\n`).join('')
  const run = (args: string[], piped?: string) => latchkey(['users', 'import', ...args], env(), piped)

  it('takes over who is in a file of JSON lines, as it says, with an audit event for each', async () => {
    const [ada, grace] = [uniqueEmail(), uniqueEmail()]
    const file = fileOf(
      'two.ndjson',
      ndjson(
        {
          email: ada.toUpperCase(),
          password_hash: djangos,
          username: 'Ada',
          name: 'Ada Lovelace',
          role: 'user',
          email_verified: true,
          created_at: '2020-02-29T12:00:00+01:00',
        },
        { email: grace, password_hash: bcrypts, username: null },
      ),
    )

    expect(await run([file])).to.deep.equal({ code: 0, out: '2 imported, 0 skipped, 0 bad.\n', errors: '' })

    const one = await knex('users').where({ email: ada }).first()
    expect(one).to.include({ username: 'Ada', name: 'Ada Lovelace', role: 'user', password_hash: djangos })
    expect(one.created_at.toISOString()).to.equal('2020-02-29T11:00:00.000Z')
    expect(one.email_verified_at.getTime()).to.be.closeTo(Date.now(), 60_000)
    const other = await knex('users').where({ email: grace }).first()
    expect(other).to.include({ username: null, name: null, email_verified_at: null, password_hash: bcrypts })
    expect(await knex('audit_events').whereIn('user_id', [one.id, other.id]).pluck('event')).to.deep.equal([
      'account.imported',
      'account.imported',
    ])
    expect(await knex('audit_events').where({ user_id: one.id }).first()).to.include({
      actor: 'operator',
      address: null,
    })
    expect(await knex('mails')).to.deep.equal([])
  })

  it('takes over who is in a CSV file, with quotes, line breaks and a byte order mark, whatever its columns’ order', async () => {
    const [ada, grace] = [uniqueEmail(), uniqueEmail()]
    const text =
      `\uFEFFname,password_hash,email,email_verified\r\n` +
      `"Lovelace, ""Ada""",${djangos},${ada},TRUE\r\n` +
      `,${bcrypts},${grace},\r\n`

    expect(await run([fileOf('people.csv', text)])).to.include({ code: 0, out: '2 imported, 0 skipped, 0 bad.\n' })

    expect((await knex('users').where({ email: ada }).first()).name).to.equal('Lovelace, "Ada"')
    expect(await knex('users').where({ email: grace }).first()).to.include({ name: null, email_verified_at: null })
  })

  it('reads standard input, and gives the counts as JSON for scripts', async () => {
    const text = ndjson({ email: uniqueEmail(), password_hash: djangos })

    const { code, out } = await run(['-', '--format', 'ndjson', '--json'], text)

    expect({ code, counts: JSON.parse(out) }).to.deep.equal({ code: 0, counts: { imported: 1, skipped: 0, bad: 0 } })
    expect(await run(['-'], text)).to.deep.equal({
      code: 2,
      out: '',
      errors: '--format must say ndjson or csv, since the name of the file does not.\n',
    })
  })

  it('says of each bad line everything that is wrong with it, never the hash, and goes on', async () => {
    const [ada, taken] = [uniqueEmail(), `taken-${randomUUID().slice(0, 8)}`]
    const secret = 'a password of somebody'
    const file = fileOf(
      'bad.ndjson',
      [
        JSON.stringify({ email: uniqueEmail(), password_hash: djangos, username: taken }),
        '{"email":',
        '[]',
        '',
        JSON.stringify({ email: 'nobody', password_hash: secret, username: '@', name: '', role: 'root', shoe: 43 }),
        JSON.stringify({ password: secret }),
        JSON.stringify({
          email: uniqueEmail(),
          password_hash: '$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
        }),
        JSON.stringify({ email: uniqueEmail(), password_hash: djangos, role: 'admin' }),
        JSON.stringify({
          email: uniqueEmail(),
          password_hash: djangos,
          email_verified: 1,
          created_at: '2999-01-01T00:00:00Z',
        }),
        JSON.stringify({ email: uniqueEmail(), password_hash: djangos, username: taken.toUpperCase() }),
        JSON.stringify({ email: uniqueEmail(), password_hash: djangos, name: 'x'.repeat(70_000) }),
        JSON.stringify({ email: ada, password_hash: djangos }),
      ].join('\n'),
    )

    const { code, out, errors } = await run([file])

    expect({ code, out }).to.deep.equal({ code: 1, out: '2 imported, 0 skipped, 9 bad.\n' })
    const said = new Map(
      errors
        .trim()
        .split('\n')
        .map((line) => line.split(/: (.*)/).slice(0, 2) as [string, string]),
    )
    expect(said.get('line 2')).to.equal('is not JSON')
    expect(said.get('line 3')).to.equal('is not an object')
    for (const part of [
      '"shoe" is no member',
      'role must be',
      'password_hash must be a whole hash',
      'email must be',
      'username must be 2',
      'name must be 1',
    ])
      expect(said.get('line 5')).to.include(part)
    expect(said.get('line 6'))
      .to.include('password is not taken')
      .and.include('email is missing')
      .and.include('password_hash is missing')
    expect(said.get('line 7')).to.include('asks for more work')
    expect(said.get('line 8')).to.equal('role must be user, unless admins are allowed')
    expect(said.get('line 9')).to.equal('email_verified must be true or false; created_at must not be in the future')
    expect(said.get('line 10')).to.equal('username is taken')
    expect(said.get('line 11')).to.equal('is longer than 65536 bytes')
    expect([...said.keys()]).to.have.length(9)
    expect(errors).to.not.include(secret).and.not.include('CCCC').and.not.include('seasalt')
    expect(await knex('users').where({ email: ada })).to.have.length(1)
  })

  it('says so of broken CSV, and refuses a first line that names what is no member', async () => {
    const ada = uniqueEmail()
    const text = `email,password_hash\n${uniqueEmail()}\n"a"b,${djangos}\n${ada},${djangos}\n`

    const { code, out, errors } = await run([fileOf('broken.csv', text)])

    expect({ code, out }).to.deep.equal({ code: 1, out: '1 imported, 0 skipped, 2 bad.\n' })
    expect(errors)
      .to.match(/^line 2: has 1 cells where the first line names 2$/m)
      .and.match(/^line 3: has a quotation mark too many or too few$/m)
    expect(await knex('users').where({ email: ada })).to.have.length(1)
    expect(await run([fileOf('columns.csv', `email,hash\n${uniqueEmail()},${djangos}\n`)])).to.deep.equal({
      code: 2,
      out: '',
      errors: 'The first line: "hash" is no member, or named twice.\n',
    })
  })

  it('skips who is there already and changes nothing of them, so that it can be repeated', async () => {
    const email = uniqueEmail()
    const first = fileOf('first.ndjson', ndjson({ email, password_hash: djangos, name: 'First' }))
    await run([first])
    const again = fileOf('again.ndjson', ndjson({ email: email.toUpperCase(), password_hash: bcrypts, name: 'Second' }))

    const { code, out, errors } = await run([again])

    expect({ code, out }).to.deep.equal({ code: 0, out: '0 imported, 1 skipped, 0 bad.\n' })
    expect(errors).to.equal('line 1: skipped, there is an account with this e-mail address\n')
    expect(await knex('users').where({ email }).first()).to.include({ name: 'First', password_hash: djangos })
    expect(
      await knex('audit_events')
        .where({ event: 'account.imported' })
        .whereIn('user_id', knex('users').where({ email }).select('id')),
    ).to.have.length(1)
  })

  it('takes the first of several lines with one address', async () => {
    const email = uniqueEmail()
    const lines = ['First', 'Second', 'Third'].map((name) => ({ email, password_hash: djangos, name }))

    expect((await run([fileOf('thrice.ndjson', ndjson(...lines))])).out).to.equal('1 imported, 2 skipped, 0 bad.\n')
    expect((await knex('users').where({ email }).first()).name).to.equal('First')
  })

  it('makes admins only when it is told so', async () => {
    const email = uniqueEmail()
    const file = fileOf('admin.ndjson', ndjson({ email, password_hash: djangos, role: 'admin' }))

    expect((await run([file])).code).to.equal(1)
    expect((await run([file, '--allow-admins'])).code).to.equal(0)
    expect((await knex('users').where({ email }).first()).role).to.equal('admin')
  })

  it('rehearses: says the same of every line, over all batches, and writes nothing', async () => {
    const known = uniqueEmail()
    await run([
      fileOf(
        'known.ndjson',
        ndjson({ email: known, password_hash: djangos, username: `k${randomUUID().slice(0, 8)}` }),
      ),
    ])
    const twice = { email: uniqueEmail(), password_hash: djangos }
    const many = Array.from({ length: 1200 }, (_, i) => ({
      email: uniqueEmail(),
      password_hash: djangos,
      username: `r-${i % 1100}`,
    }))
    const file = fileOf(
      'rehearsal.ndjson',
      ndjson({ email: known, password_hash: djangos }, twice, ...many, twice, { email: 'x' }),
    )
    const before = [await knex('users').count(), await knex('audit_events').count()]

    const rehearsed = await run([file, '--dry-run'])

    expect(rehearsed).to.include({ code: 1, out: '1101 would be imported, 2 skipped, 101 bad.\n' })
    expect([await knex('users').count(), await knex('audit_events').count()]).to.deep.equal(before)
    const done = await run([file])
    expect(done.out).to.equal('1101 imported, 2 skipped, 101 bad.\n')
    expect(done.errors).to.equal(rehearsed.errors)
  })

  it('meets people who register meanwhile: each address is one account, and nobody who registered is changed', async () => {
    const service = await startService(env())
    await service.migrated
    const emails = Array.from({ length: 3000 }, uniqueEmail)
    const people = emails.map((email) => ({ email, password_hash: djangos, name: 'Imported' }))
    const register = (email: string) =>
      service.client.register({ email, password: 'correct horse battery staple', name: 'Registered' })

    const importing = run([fileOf('race.ndjson', ndjson(...people))])
    // From the last to the first, so that the two meet.
    const statuses: number[] = []
    for (const email of emails.filter((_, i) => i % 30 === 0).toReversed())
      statuses.push((await register(email)).status)
    const { code, out } = await importing

    const registered = statuses.filter((status) => status === 201).length
    expect([201, 409]).to.include.members([...new Set(statuses)])
    expect(registered).to.be.within(1, 100)
    expect({ code, out }).to.deep.equal({
      code: 0,
      out: `${3000 - registered} imported, ${registered} skipped, 0 bad.\n`,
    })
    expect(await knex('users').whereIn('email', emails)).to.have.length(3000)
    expect(await knex('users').whereIn('email', emails).where({ name: 'Registered' })).to.have.length(registered)
    await service.close()
  })

  it('reads no faster than PostgreSQL takes it: two batches at most lie in memory, however long the file is', async () => {
    const line = () => `{"email":"${uniqueEmail()}","password_hash":"${bcrypts}"${' '.repeat(5000)}}\n`
    const lineCount = 20_000
    const blocking = await knex.transaction()
    await blocking.raw('select pg_advisory_xact_lock(?)', [importLock])
    let given = 0
    const lines = Readable.from(
      (function* () {
        for (; given < lineCount; given++) yield line()
      })(),
      { highWaterMark: 1 },
    )
    const importing = latchkey(
      ['users', 'import', '-', '--format', 'ndjson'],
      { ...env(), DATABASE_TIMEOUT_MS: '60000' },
      lines,
    )
    await eventually(async () => {
      const { rows } = (await blocking.raw(
        `select 1 from pg_locks where locktype = 'advisory' and objid = ? and not granted`,
        [importLock],
      )) as { rows: unknown[] }
      expect(rows).to.have.length(1)
    }, 20_000)
    await delay(1000) // in which all of them could be read, if nothing held the reader back

    const givenMeanwhile = given
    await blocking.rollback()

    expect((await importing).out).to.equal(`${lineCount} imported, 0 skipped, 0 bad.\n`)
    expect(givenMeanwhile).to.be.within(2 * importBatchMax, 3 * importBatchMax)
  })

  it('stops when PostgreSQL is away, and exits with 3', async () => {
    const file = fileOf('away.ndjson', ndjson({ email: uniqueEmail(), password_hash: djangos }))

    const { code, errors } = await latchkey(['users', 'import', file], { DATABASE_URL: 'postgres://127.0.0.1:1/none' })

    expect(code).to.equal(3)
    expect(errors).to.match(/^PostgreSQL or Redis does not answer/)
  })
})

describe('somebody who was imported', function () {
  this.timeout(60_000)

  it('logs in with the password they had, which replaces the hash by one of ours', async () => {
    const service = await startService()
    const knex = knexModule({ client: 'pg', connection: databaseUrl(), pool: { min: 0, max: 1 } })
    const email = uniqueEmail()
    const line = JSON.stringify({ email, password_hash: djangos, email_verified: true })
    expect((await latchkey(['users', 'import', '-', '--format', 'ndjson'], {}, line)).code).to.equal(0)

    expect((await service.client.login({ email, password: 'not that one' })).status).to.equal(401)
    const answer = await service.client.login({ email, password: 'correct horse battery staple' })

    expect(answer.status).to.equal(200)
    expect(answer.body.user.email_verified).to.equal(true)
    expect((await knex('users').where({ email }).first()).password_hash).to.match(/^\$argon2id\$/)
    expect((await service.client.login({ email, password: 'correct horse battery staple' })).status).to.equal(200)
    await knex.destroy()
    await service.close()
  })
})
