import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { migrationSource } from '../../migrations/index.ts'
import { createAudit, type Actor, type Audit } from '../../src/audit/index.ts'
import { migrate } from '../../src/platform/migrate.ts'
import type { Knex } from '../../src/platform/postgres.ts'
import { movableClock } from '../support/clock.ts'
import { connectPostgres } from '../support/own-stores.ts'
import { databaseUrl } from '../support/stores.ts'

const somebody: Actor = { kind: 'person', id: null, address: '192.0.2.1', userAgent: 'curl' }
const dayMs = 86_400_000

describe('the audit', () => {
  const clock = movableClock()
  let knex: Knex
  let audit: Audit
  let lost: unknown[]
  before(async () => {
    await migrate(databaseUrl(), migrationSource)
    knex = connectPostgres(databaseUrl())
  })
  after(() => knex.destroy())
  beforeEach(() => {
    lost = []
    audit = createAudit({
      knex,
      clock,
      retentionMs: () => 90 * dayMs,
      log: (event, fields) => lost.push({ event, ...fields }),
    })
  })

  it('keeps who, what, when and from where', async () => {
    const [userId, sessionId] = [randomUUID(), randomUUID()]

    await audit.record(knex, {
      event: 'login.succeeded',
      actor: { ...somebody, id: userId },
      userId,
      sessionId,
      detail: { count: 1, members: ['name'] },
    })

    const { items } = await audit.list({ userId })
    expect(items.map(({ id: _id, ...rest }) => rest)).to.deep.equal([
      {
        event: 'login.succeeded',
        at: new Date(clock.now()),
        actor: { ...somebody, id: userId },
        userId,
        sessionId,
        detail: { count: 1, members: ['name'] },
      },
    ])
  })

  it('forgets an event whose transaction is taken back', async () => {
    const userId = randomUUID()
    const trx = await knex.transaction()
    await audit.record(trx, { event: 'password.changed', actor: somebody, userId })
    await trx.rollback()

    expect((await audit.list({ userId })).items).to.deep.equal([])
  })

  it('lists newest first, page by page, each event once', async () => {
    const userId = randomUUID()
    for (let count = 0; count < 5; count++)
      await audit.record(knex, { event: 'login.failed', actor: somebody, userId, detail: { count } })

    const seen: unknown[] = []
    let cursor: string | undefined
    do {
      const page = await audit.list({ userId }, { cursor, limit: 2 })
      seen.push(...page.items.map(({ detail }) => detail['count']))
      cursor = page.nextCursor ?? undefined
    } while (cursor)

    expect(seen).to.deep.equal([4, 3, 2, 1, 0])
  })

  it('narrows by event and time', async () => {
    const userId = randomUUID()
    await audit.record(knex, { event: 'login.failed', actor: somebody, userId })
    const since = new Date(clock.now() + 1)
    clock.pass({ seconds: 1 })
    await audit.record(knex, { event: 'login.succeeded', actor: somebody, userId })
    await audit.record(knex, { event: 'login.failed', actor: somebody, userId })
    const events = async (filter: object) => (await audit.list({ userId, ...filter })).items.map(({ event }) => event)

    expect(await events({ event: 'login.failed' })).to.have.length(2)
    expect(await events({ since })).to.deep.equal(['login.failed', 'login.succeeded'])
    expect(await events({ until: since })).to.deep.equal(['login.failed'])
  })

  it('changes no row, and does not let others do so', async () => {
    const userId = randomUUID()
    await audit.record(knex, { event: 'login.failed', actor: somebody, userId })
    const refusal = async (sql: string) =>
      knex.raw(sql).then(
        () => null,
        (error: Error) => error.message,
      )

    expect(await refusal(`update audit_events set address = null`)).to.contain('not changed')
    expect(await refusal('truncate audit_events')).to.contain('not changed')
  })

  it('goes when it is older than the retention, and not before', async () => {
    const userId = randomUUID()
    await audit.record(knex, { event: 'login.failed', actor: somebody, userId })
    clock.pass({ days: 90 })
    await audit.record(knex, { event: 'login.succeeded', actor: somebody, userId })
    await audit.prune()
    expect((await audit.list({ userId })).items).to.have.length(2)

    clock.pass({ seconds: 1 })
    await audit.prune()

    expect((await audit.list({ userId })).items.map(({ event }) => event)).to.deep.equal(['login.succeeded'])
  })

  it('says in the log what could not be written, and fails nobody', async () => {
    const userId = randomUUID()
    const away = connectPostgres('postgres://nobody@127.0.0.1:1/none')
    const cut = createAudit({
      knex: away,
      clock,
      retentionMs: () => dayMs,
      log: (event, fields) => lost.push({ event, ...fields }),
    })

    await cut.note({ event: 'login.failed', actor: somebody, userId })

    expect(lost).to.deep.equal([{ event: 'audit.lost', reason: 'login.failed', error: 'AppError', user_id: userId }])
    await away.destroy()
  })
})
