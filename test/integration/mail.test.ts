import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { expect } from 'chai'
import knexModule, { type Knex } from 'knex'
import { migrationSource } from '../../migrations/index.ts'
import { createMail, type Chore, type Links, type MailKind, type Mails } from '../../src/mail/index.ts'
import type { AppError } from '../../src/errors.ts'
import { createLog } from '../../src/platform/log.ts'
import { migrate } from '../../src/platform/migrate.ts'
import { openPostgres } from '../../src/platform/postgres.ts'
import { eventually } from '../support/eventually.ts'
import { ownPostgres } from '../support/own-stores.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'
import { databaseUrl, withDatabase } from '../support/stores.ts'

const from = { name: 'Latchkey', address: 'latchkey@mail.example' }
/** Two waits and a poll. */
const aMinute = 60_000

describe('mail', function () {
  this.timeout(90_000)
  let server: Knex
  let url: string
  let knex: Knex
  let smtp: SmtpSink
  let logged: Record<string, unknown>[]
  let rooms: Mails[]
  let count = 0

  before(() => {
    server = knexModule({ client: 'pg', connection: databaseUrl(), pool: { min: 0, max: 1 } })
  })
  after(() => server.destroy())

  beforeEach(async () => {
    const name = `${new URL(databaseUrl()).pathname.slice(1)}_mail_${++count}`
    await server.raw('create database ??', [name])
    url = withDatabase(databaseUrl(), name)
    await migrate(url, migrationSource)
    knex = knexModule({ client: 'pg', connection: url, pool: { min: 0, max: 5 } })
    smtp = await startSmtp()
    logged = []
    rooms = []
  })
  afterEach(async () => {
    await Promise.all(rooms.map((room) => room.stop()))
    await smtp.stop()
    await knex.destroy()
    await server.raw('drop database ?? with (force)', [new URL(url).pathname.slice(1)])
  })

  const link = async ({ id }: { id: string }) => ({ url: `https://app.example/reset#token=${id}-${randomUUID()}` })

  function aRoom({
    started = true,
    links = { 'reset-password': link },
    chores = [],
    smtpUrl = smtp.url,
    database = { url, knex },
  }: {
    started?: boolean
    links?: Links
    chores?: Chore[]
    smtpUrl?: string | null
    database?: { url: string; knex: Knex }
  } = {}): Mails {
    const room = createMail({
      knex: database.knex,
      databaseUrl: database.url,
      databaseTimeoutMs: 1500,
      smtp: smtpUrl === null ? null : { url: smtpUrl },
      from,
      links,
      chores,
      log: createLog('debug', { write: (line) => logged.push(JSON.parse(line) as Record<string, unknown>) }),
    })
    rooms.push(room)
    if (started) room.start()
    return room
  }

  const aMail = (kind: MailKind = 'reset-password') => ({
    kind,
    userId: randomUUID(),
    address: `${randomUUID().slice(0, 8)}@example.com`,
    facts: { at: '2026-11-21T04:31:00Z', deviceName: 'laptop' },
  })

  async function queued(room: Mails, mail = aMail()): Promise<{ id: string; address: string }> {
    return { id: await room.queue(knex, mail), address: mail.address }
  }

  const rowOf = (id: string) => knex('mails').where({ id }).first()
  const hasStatus = (id: string, status: string, withinMs = 5000) =>
    eventually(async () => expect((await rowOf(id)).status).to.equal(status), withinMs)
  const hasAttempted = (id: string) =>
    eventually(async () => expect((await rowOf(id)).last_error).to.be.a('string'), 15_000)
  /** Lets the time pass until a mail that waits is due. */
  const makeDue = async (id: string) => {
    await knex('mails').where({ id }).update({ next_attempt_at: knex.fn.now() })
    await knex('graphile_worker._private_jobs')
      .where({ key: `mail:${id}` })
      .update({ run_at: knex.fn.now() })
  }

  it('is sent when the transaction is committed, with the link made at that moment', async () => {
    const room = aRoom()
    const mail = aMail()
    const arrives = smtp.nextMail(mail.address)
    const id = await knex.transaction(async (trx) => {
      const made = await room.queue(trx, mail)
      expect(await knex('mails').where({ id: made })).to.deep.equal([])
      return made
    })

    const { messageId, text, html, email } = await arrives
    expect(messageId).to.equal(`<${id}@mail.example>`)
    expect(text).to.match(new RegExp(`https://app\\.example/reset#token=${id}-`))
    expect(html).to.include(`https://app.example/reset#token=${id}-`)
    expect(email.from).to.deep.include(from)
    expect(email.to).to.deep.equal([{ name: '', address: mail.address }])
    await hasStatus(id, 'sent')
    expect(await rowOf(id)).to.include({ attempts: 1, last_error: null })
    await eventually(async () => expect(await knex('graphile_worker.jobs')).to.deep.equal([]))
  })

  it('is not sent when the transaction is taken back', async () => {
    const room = aRoom()
    const mail = aMail()
    await knex
      .transaction(async (trx) => {
        await room.queue(trx, mail)
        throw new Error('never mind')
      })
      .catch(() => undefined)
    const next = await queued(room)
    await hasStatus(next.id, 'sent')

    expect(smtp.mailsTo(mail.address)).to.deep.equal([])
    expect(await knex('mails').where({ address: mail.address })).to.deep.equal([])
  })

  it('leaves no token in the database and no address in the log', async () => {
    const room = aRoom()
    const { id, address } = await queued(room)
    await hasStatus(id, 'sent')

    const token = /#token=(\S+)/.exec(smtp.mailsTo(address)[0]!.text)![1]!
    const dump = JSON.stringify([await knex('mails'), await knex('graphile_worker._private_jobs')])
    expect(dump).to.include(id).and.not.include(token)
    expect(JSON.stringify(logged)).to.include(id).and.not.include(token)
    expect(JSON.stringify(logged)).to.not.include(address)
  })

  it('is dropped when nobody wants it any more', async () => {
    const room = aRoom({ links: { 'reset-password': async () => null } })
    const { id, address } = await queued(room)

    await hasStatus(id, 'dropped')
    expect(smtp.mailsTo(address)).to.deep.equal([])
  })

  it('waits in the queue where there is no mail server, and goes out when there is one', async () => {
    const without = aRoom({ smtpUrl: null })
    const { id } = await queued(without)
    expect(without.state()).to.equal('off')
    await without.stop()
    expect((await rowOf(id)).status).to.equal('queued')

    aRoom()
    await hasStatus(id, 'sent')
  })

  it('is sent once by two workers', async () => {
    const one = aRoom()
    aRoom()
    const mails = await Promise.all(Array.from({ length: 30 }, () => queued(one)))
    // Even when both are woken for each of them at once.
    await Promise.all(
      mails.flatMap(({ id }) =>
        [1, 2].map(() => knex.raw(`select 1 from graphile_worker.add_job('send-mail', ?::json)`, [`{"id":"${id}"}`])),
      ),
    )

    for (const { id } of mails) await hasStatus(id, 'sent', 20_000)
    await eventually(async () => expect(await knex('graphile_worker.jobs')).to.deep.equal([]), 20_000)
    for (const { address } of mails) expect(smtp.mailsTo(address), address).to.have.length(1)
  })

  it('is left alone by those who are woken while another sends it', async () => {
    const room = aRoom()
    smtp.behave('mute')
    const { id, address } = await queued(room)
    await eventually(() => expect(smtp.mailsTo(address)).to.have.length(1))
    const wakeUp = `select 1 from graphile_worker.add_job('send-mail', ?::json)`
    await Promise.all([1, 2].map(() => knex.raw(wakeUp, [`{"id":"${id}"}`])))

    await eventually(async () => {
      const rows = await knex('graphile_worker._private_jobs').whereRaw('run_at <= now()')
      expect(rows, 'jobs that are due or under way').to.have.length(1)
    })
    expect(smtp.mailsTo(address)).to.have.length(1)
  })

  it('is given up at once when the server refuses it, until an operator tries again', async () => {
    const room = aRoom()
    smtp.behave('550')
    const { id, address } = await queued(room)
    await hasStatus(id, 'failed')
    expect(await rowOf(id)).to.include({ attempts: 1, last_error: '550 5.1.1 at RCPT TO' })
    expect((await room.list({ status: 'failed' })).items.map((item) => item.id)).to.deep.equal([id])
    expect(await knex('graphile_worker.jobs').where({ key: `mail:${id}` })).to.deep.equal([])
    expect(room.state()).to.equal('ok')

    smtp.behave('well')
    expect(await room.retry(id)).to.equal('requeued')
    await hasStatus(id, 'sent')
    expect(smtp.mailsTo(address)).to.have.length(1)
    expect(await room.retry(id)).to.equal('not-failed')
    expect(await room.retry(randomUUID())).to.equal('not-found')
    expect(await room.retry('nonsense')).to.equal('not-found')
  })

  it('is tried again when the server asks for that', async () => {
    const room = aRoom()
    smtp.behave('451')
    const { id, address } = await queued(room)
    await hasAttempted(id)
    expect(await rowOf(id)).to.include({ status: 'queued', last_error: '451 4.2.2 at RCPT TO' })
    smtp.behave('well')

    await hasStatus(id, 'sent', aMinute)
    expect(smtp.mailsTo(address)).to.have.length(1)
  })

  it('is given up after a day', async () => {
    const room = aRoom({ started: false })
    const { id } = await queued(room)
    await knex('mails').where({ id }).update({ gives_up_at: knex.fn.now() })
    smtp.behave('451')
    room.start()

    await hasStatus(id, 'failed')
    expect((await rowOf(id)).last_error).to.equal('451 4.2.2 at RCPT TO')
  })

  it('arrives within a minute after the server is back, and nobody storms it before', async () => {
    const room = aRoom()
    await smtp.close()
    const mails = await Promise.all(Array.from({ length: 20 }, () => queued(room)))
    await eventually(() => expect(room.state()).to.equal('degraded'))
    const tries = () => logged.filter(({ event }) => event === 'mail.retried').length
    const downAt = Date.now()
    await eventually(() => expect(Date.now() - downAt).to.be.above(8000), 10_000)
    expect(tries(), 'attempts in eight seconds').to.be.within(3, 15)

    const backAt = Date.now()
    await smtp.listen()
    for (const { id } of mails) await hasStatus(id, 'sent', aMinute)

    expect(Date.now() - backAt).to.be.below(aMinute)
    for (const { address } of mails) expect(smtp.mailsTo(address), address).to.have.length(1)
    expect(room.state()).to.equal('ok')
  })

  for (const behaviour of ['slow', 'silent'] as const)
    it(`survives a server that is ${behaviour} to greet, on few connections`, async () => {
      const room = aRoom()
      smtp.behave(behaviour)
      const mails = await Promise.all(Array.from({ length: 10 }, () => queued(room)))
      await eventually(() => expect(room.state()).to.equal('degraded'), 15_000)
      expect(smtp.connections().open).to.be.at.most(3)

      smtp.behave('well')
      for (const { id } of mails) await hasStatus(id, 'sent', aMinute)
      for (const { address } of mails) expect(smtp.mailsTo(address), address).to.have.length(1)
    })

  it('is sent again, with the same Message-ID, when the connection breaks after the mail', async () => {
    const room = aRoom()
    smtp.behave('cut')
    const { id, address } = await queued(room)
    await hasAttempted(id)
    smtp.behave('well')
    await hasStatus(id, 'sent', aMinute)

    const copies = smtp.mailsTo(address)
    expect(copies.length).to.be.above(1)
    expect(new Set(copies.map(({ messageId }) => messageId))).to.deep.equal(new Set([`<${id}@mail.example>`]))
  })

  it('is sent again, with the same Message-ID, when the process is killed after the mail', async () => {
    const script = `
      import { createMail } from './src/mail/index.ts'
      import { openPostgres } from './src/platform/postgres.ts'
      const [databaseUrl, smtpUrl] = process.argv.slice(1)
      createMail({
        knex: openPostgres({ url: databaseUrl, poolMax: 3, timeoutMs: 1500 }), databaseUrl, databaseTimeoutMs: 1500,
        smtp: { url: smtpUrl }, from: ${JSON.stringify(from)}, links: {}, chores: [], log() {},
      }).start()`
    const idle = aRoom({ started: false })
    const { id, address } = await queued(idle, aMail('password-changed'))
    const arrives = smtp.nextMail(address)
    smtp.behave('mute')
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, url, smtp.url])
    const [first] = [await arrives]
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect((await rowOf(id)).status).to.equal('queued')
    smtp.behave('well')

    idle.start()
    await makeDue(id) // the claim of the dead process would last for a minute
    await hasStatus(id, 'sent')

    expect(smtp.mailsTo(address).map(({ messageId }) => messageId)).to.deep.equal([first.messageId, first.messageId])
  })

  it('stops within seconds, whatever the server does, and the mail goes out later', async () => {
    const room = aRoom()
    smtp.behave('silent')
    const { id } = await queued(room)
    await eventually(() => expect(smtp.connections().open).to.equal(1))
    const startedAt = performance.now()
    await room.stop()
    expect(performance.now() - startedAt).to.be.below(4500)
    expect((await rowOf(id)).status).to.equal('queued')

    smtp.behave('well')
    await makeDue(id)
    aRoom()
    await hasStatus(id, 'sent')
  })

  it('finds its job again when that was lost', async () => {
    const room = aRoom({ started: false })
    const { id } = await queued(room)
    await knex('graphile_worker._private_jobs').del()
    await knex('mails').update({ next_attempt_at: knex.raw(`now() - interval '6 minutes'`) })
    room.start()
    await knex.raw(`select 1 from graphile_worker.add_job('tidy-mails')`)

    await hasStatus(id, 'sent')
  })

  it('is deleted when it is done for long', async () => {
    const room = aRoom({ started: false })
    const ages = { sent: [6, 8], dropped: [6, 8], failed: [29, 31], queued: [31] }
    const ids: Record<string, string> = {}
    for (const [status, days] of Object.entries(ages))
      for (const day of days) {
        const { id } = await queued(room)
        ids[`${status} ${day}`] = id
        await knex('mails')
          .where({ id })
          .update({
            status,
            created_at: knex.raw(`now() - ? * interval '1 day'`, [day]),
            next_attempt_at: knex.raw(`now() + interval '1 hour'`),
          })
      }
    room.start()
    await knex.raw(`select 1 from graphile_worker.add_job('tidy-mails')`)

    await eventually(async () => expect(await knex('mails').pluck('id')).to.have.length(4))
    const left = await knex('mails').pluck('id')
    expect(left).to.have.members(['sent 6', 'dropped 6', 'failed 29', 'queued 31'].map((name) => ids[name]!))
  })

  it('is listed newest first, a page at a time, with no mail twice', async () => {
    const room = aRoom({ started: false })
    for (let i = 0; i < 130; i++) await queued(room)
    const first = await room.list({})
    const second = await room.list({ cursor: first.nextCursor! })

    expect([first.items.length, second.items.length, second.nextCursor]).to.deep.equal([100, 30, null])
    const ids = [...first.items, ...second.items].map(({ id }) => id)
    expect(ids).to.deep.equal(ids.toSorted().toReversed())
    expect(new Set(ids).size).to.equal(130)
  })

  it('shares its clockwork with the chores of others, and a chore that fails does no harm', async () => {
    let done = 0
    const chores = [
      { name: 'sweep', run: async () => ({ swept: ++done }) },
      { name: 'stumble', run: () => Promise.reject(new Error('no')) },
    ]
    const room = aRoom({ chores })
    await knex.raw(`select 1 from graphile_worker.add_job('stumble')`)
    await knex.raw(`select 1 from graphile_worker.add_job('sweep')`)

    await eventually(() => expect(done).to.equal(1))
    await eventually(() => expect(logged).to.deep.include.members([logged.find(({ reason }) => reason === 'stumble')]))
    const known = await eventually(async () => {
      const rows = await knex('graphile_worker._private_known_crontabs').pluck('identifier')
      expect(rows).to.have.length(3)
      return rows
    })
    expect(known).to.have.members(['tidy-mails', 'sweep', 'stumble'])
    const { id } = await queued(room)
    await hasStatus(id, 'sent')
  })

  it('shares a chore that was missed with another process: one of them makes up for it, once', async () => {
    let done = 0
    const chores = [{ name: 'sweep', run: async () => ({ swept: ++done }) }]
    const both = [aRoom({ chores, started: false }), aRoom({ chores, started: false })]
    await knex.raw(`
      insert into graphile_worker._private_known_crontabs (identifier, known_since)
        select name, now() - interval '3 hours' from unnest(array['sweep', 'tidy-mails']) as name;
      create table tries (at timestamptz default clock_timestamp());
      create function note_try() returns trigger language plpgsql
        as 'begin insert into tries default values; return null; end';
      create trigger noted before insert on graphile_worker._private_known_crontabs execute function note_try()`)
    for (const room of both) room.start()

    await eventually(async () => expect((await knex('tries')).length).to.be.at.least(2), 10_000)
    await eventually(() => expect(done).to.be.above(0))
    await eventually(async () => expect(await knex('graphile_worker.jobs')).to.deep.equal([]))
    await Promise.all(both.map((room) => room.stop()))
    expect(done).to.equal(1)
  })

  it('goes on when PostgreSQL was killed or stood still, without a restart', async () => {
    const own = await ownPostgres()
    await migrate(own.url, migrationSource)
    const database = { url: own.url, knex: openPostgres({ url: own.url, poolMax: 3, timeoutMs: 500 }) }
    const room = aRoom({ database })
    const send = async () => {
      const mail = aMail()
      const arrives = smtp.nextMail(mail.address)
      await eventually(() => room.queue(database.knex, mail), 20_000)
      await arrives
    }
    try {
      await send()
      await own.kill()
      await own.start()
      await send()
      own.pause()
      await room.queue(database.knex, aMail()).then(
        () => expect.fail('it stands still'),
        (error: AppError) => expect(error.code).to.equal('unavailable'),
      )
      own.resume()
      await send()
    } finally {
      await room.stop()
      await database.knex.destroy()
      await own.discard()
    }
  })
})
