import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import type { Knex } from 'knex'
import { migrationSource } from '../../migrations/index.ts'
import { createAudit, type Actor } from '../../src/audit/index.ts'
import { createClients, type Clients } from '../../src/clients/index.ts'
import { AppError } from '../../src/errors.ts'
import { createBulletin, type Bulletin } from '../../src/platform/bulletin.ts'
import { migrate } from '../../src/platform/migrate.ts'
import { openPostgres } from '../../src/platform/postgres.ts'
import { createGate, refusalOf } from '../support/accounts.ts'
import { movableClock, type MovableClock } from '../support/clock.ts'
import { eventually } from '../support/eventually.ts'
import { databaseUrl } from '../support/stores.ts'

const operator: Actor = { kind: 'operator', id: null, address: null, userAgent: null }

describe('the service clients', () => {
  let knex: Knex
  let clock: MovableClock
  let clients: Clients
  /** The room of another process, which has its own copy. */
  let elsewhere: Clients
  let bulletins: Bulletin[]

  const audit = () => createAudit({ knex, clock, retentionMs: () => 1, log: () => undefined })

  async function anInstance(): Promise<Clients> {
    const room = createClients({ knex, audit: audit(), clock })
    const bulletin = createBulletin({ url: databaseUrl(), timeoutMs: 1500, log: () => undefined })
    bulletin.follow('clients', room.reread)
    await bulletin.start()
    bulletins.push(bulletin)
    return room
  }

  before(async () => {
    await migrate(databaseUrl(), migrationSource)
    knex = openPostgres({ url: databaseUrl(), poolMax: 5, timeoutMs: 1500 })
    clock = movableClock()
    bulletins = []
    clients = await anInstance()
    elsewhere = await anInstance()
  })
  after(async () => {
    await Promise.all(bulletins.map((bulletin) => bulletin.stop()))
    await Promise.all([clients.settle(), elsewhere.settle()])
    await knex.destroy()
  })

  it('are let in with their secret, at once where they were created and a moment later everywhere', async () => {
    const { client, secret } = await clients.create('orders', operator)

    expect(secret).to.match(/^[\w-]{43}$/)
    expect(clients.verify(client.id, secret)).to.equal(true)
    await eventually(() => expect(elsewhere.verify(client.id, secret)).to.equal(true), 1000)
  })

  it('are not let in with another secret, the digest of theirs, or under another id', async () => {
    const { client, secret } = await clients.create('orders', operator)
    const other = await clients.create('billing', operator)
    const { secret_digest } = (await knex('service_clients').where({ id: client.id }).first()) as {
      secret_digest: string
    }

    expect(secret_digest).to.match(/^[0-9a-f]{32}$/)
    for (const [id, text] of [
      [client.id, secret_digest],
      [client.id, other.secret],
      [client.id, ''],
      [client.id, secret.toUpperCase()],
      [other.client.id, secret],
      [randomUUID(), secret],
      ['constructor', secret],
      ['', ''],
    ] as [string, string][])
      expect(clients.verify(id, text), id).to.equal(false)
  })

  it('are refused once revoked: at once here, and within a second everywhere', async () => {
    const { client, secret } = await clients.create('orders', operator)
    await eventually(() => expect(elsewhere.verify(client.id, secret)).to.equal(true))

    await clients.revoke(client.id, operator)

    expect(clients.verify(client.id, secret)).to.equal(false)
    await eventually(() => expect(elsewhere.verify(client.id, secret)).to.equal(false), 1000)
  })

  it('stay refused although a reading of before that comes in late', async () => {
    const gates = [createGate(), createGate()]
    gates[0]!.open()
    /** Has the rows of each reading wait at a gate. */
    const slowly = new Proxy(knex, {
      apply(target, self, args: [string]) {
        const query = Reflect.apply(target, self, args) as Knex.QueryBuilder
        const select = query.select.bind(query)
        return Object.assign(query, {
          async select(...columns: string[]) {
            const rows = await select(...columns)
            await gates.shift()!.pass()
            return rows as unknown
          },
        })
      },
    })
    const room = createClients({ knex: slowly, audit: audit(), clock })
    const { client, secret } = await clients.create('orders', operator)
    await room.reread()
    const [late] = gates as [(typeof gates)[0]]
    const reading = room.reread()
    await late.arrived
    await room.revoke(client.id, operator)
    late.open()
    await reading

    expect(room.verify(client.id, secret)).to.equal(false)
  })

  it('are unavailable, not unknown, before the copy was read once', async () => {
    const fresh = createClients({ knex, audit: audit(), clock })

    expect(() => fresh.verify(randomUUID(), 'secret'))
      .to.throw(AppError)
      .with.property('code', 'unavailable')
  })

  it('are revoked once, however often that is asked, and only where there are any', async () => {
    const { client } = await clients.create('orders', operator)
    const revokedAt = new Date(clock.now())
    await clients.revoke(client.id, operator)
    clock.pass({ minutes: 1 })
    await clients.revoke(client.id, operator)

    expect((await clients.list()).find(({ id }) => id === client.id)!.revokedAt).to.deep.equal(revokedAt)
    for (const id of [randomUUID(), 'nonsense', ''])
      expect(((await refusalOf(clients.revoke(id, operator))) as AppError).code).to.equal('not-found')
  })

  it('leave an event with who created and who revoked them, and no secret', async () => {
    const admin: Actor = { kind: 'admin', id: randomUUID(), address: '192.0.2.1', userAgent: 'curl' }
    const { client, secret } = await clients.create('  orders ', admin)
    await clients.revoke(client.id, operator)
    await clients.revoke(client.id, operator)

    const events = await knex('audit_events').whereRaw(`detail->>'client' = ?`, [client.id]).orderBy('id')
    expect(events.map(({ event, actor, actor_id, detail }) => ({ event, actor, actor_id, detail }))).to.deep.equal([
      { event: 'client.created', actor: 'admin', actor_id: admin.id, detail: { client: client.id, name: 'orders' } },
      { event: 'client.revoked', actor: 'operator', actor_id: null, detail: { client: client.id } },
    ])
    expect(JSON.stringify(await knex('service_clients'))).to.not.include(secret)
    expect(client).to.deep.include({ name: 'orders', createdBy: admin.id, lastUsedAt: null, revokedAt: null })
  })

  it('show when they were last used, to the minute, and are written no more often', async () => {
    const { client, secret } = await clients.create('orders', operator)
    const lastUsed = async () => {
      await clients.settle()
      return (await clients.list()).find(({ id }) => id === client.id)!.lastUsedAt?.getTime()
    }
    clients.verify(client.id, 'wrong')
    expect(await lastUsed()).to.equal(undefined)
    const first = clock.now()
    clients.verify(client.id, secret)
    clock.pass({ seconds: 59 })
    clients.verify(client.id, secret)
    expect(await lastUsed()).to.equal(first)
    clock.pass({ seconds: 1 })
    clients.verify(client.id, secret)
    expect(await lastUsed()).to.equal(first + 60_000)
  })

  it('have a name of 1 to 100 printable characters', async () => {
    for (const name of ['', '  ', 'x'.repeat(101), 'a\nb', 'a\u202Eb']) {
      const refused = (await refusalOf(clients.create(name, operator))) as AppError
      expect([refused.code, refused.faults?.[0]?.member], JSON.stringify(name)).to.deep.equal([
        'validation-failed',
        'name',
      ])
    }
    expect((await clients.create('Bücher ☃'.padEnd(100, '.'), operator)).client.name).to.have.length(100)
  })
})
