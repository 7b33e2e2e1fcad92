import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import knexModule, { type Knex } from 'knex'
import { migrationSource } from '../../migrations/index.ts'
import { migrate } from '../../src/platform/migrate.ts'
import { latchkey } from '../support/command-line.ts'
import { databaseUrl } from '../support/stores.ts'

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
    expect(away.code).to.equal(1)
    expect(away.errors).to.match(/^PostgreSQL does not answer/)

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
      code: 1,
      out: '',
      errors: 'The name must be 1 to 100 printable characters.\n',
    })
  })
})
