import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { createUsersTable, type Search } from '../../src/accounts/users-table.ts'
import { migrationSource } from '../../migrations/index.ts'
import { migrate } from '../../src/platform/migrate.ts'
import type { Knex } from '../../src/platform/postgres.ts'
import { connectPostgres } from '../support/own-stores.ts'
import { databaseUrl, withDatabase } from '../support/stores.ts'

describe('the search for people', function () {
  this.timeout(60_000)
  const name = `latchkey_search_${process.pid}`
  let server: Knex
  let knex: Knex
  before(async () => {
    server = connectPostgres(databaseUrl())
    await server.raw('create database ??', [name])
    const url = withDatabase(databaseUrl(), name)
    await migrate(url, migrationSource)
    knex = connectPostgres(url)
    await knex.raw(`
      insert into users (id, email, username, name, password_hash, role, created_at, updated_at)
      select gen_random_uuid(), 'mail-' || n || '@example.com', 'user-' || n, 'Name ' || n, '-',
             case when n <= 3 then 'admin' else 'user' end, to_timestamp(n) + interval '1 microsecond' * (n % 3), now()
      from generate_series(1, 50000) as n`)
    await knex.raw('analyze users')
  })
  after(async () => {
    await knex.destroy()
    await server.raw('drop database ?? with (force)', [name])
    await server.destroy()
  })

  /** How PostgreSQL goes about what is asked of it. */
  async function plansOf(ask: (users: ReturnType<typeof createUsersTable>) => Promise<unknown>): Promise<string> {
    const asked: { sql: string; bindings: Knex.RawBinding[] }[] = []
    const listen = (query: (typeof asked)[number]) => asked.push(query)
    knex.on('query', listen)
    await ask(createUsersTable(knex))
    knex.removeListener('query', listen)
    const { sql, bindings } = asked.find((query) => query.sql.includes('"users"'))!
    const { rows } = await knex.raw(`explain ${sql.replaceAll(/\$\d+/g, '?')}`, bindings)
    return (rows as { 'QUERY PLAN': string }[]).map((row) => row['QUERY PLAN']).join('\n')
  }

  const middle = { createdAtMicros: '25000000000', id: randomUUID() }
  const searches: Record<string, Omit<Search, 'limit'>> = {
    'for everybody': {},
    'for a further page of everybody': { after: middle },
    'for an id': { text: randomUUID() },
    'for the beginning of an address': { text: 'mail-4242' },
    'for the beginning of a username': { text: 'user-4242' },
    'for the beginning of a name': { text: 'Name 4242' },
    'for what nobody has': { text: 'zzz' },
    'for what everybody has': { text: 'm' },
    'for a further page of what some have': { text: 'mail-42', after: middle },
  }
  for (const [what, search] of Object.entries(searches))
    it(`${what} reads indexes, and not the whole table`, async () => {
      const plan = await plansOf((users) => users.search({ ...search, limit: 50 }))
      expect(plan).to.match(/index/i).and.not.include('Seq Scan')
    })

  it('locks admins without reading the whole table', async () => {
    const plan = await plansOf((users) => users.alongside((trx) => users.lockWithAdmins(trx, [randomUUID()])))
    expect(plan).to.match(/index/i).and.not.include('Seq Scan')
  })

  it('goes through people who were stored in one millisecond one by one', async () => {
    const users = createUsersTable(knex)
    const at = '2020-01-01 00:00:00.123'
    await knex('users')
      .where('username', 'like', 'user-100__')
      .update({
        created_at: knex.raw(`timestamptz '${at}' + interval '1 microsecond' * (right(username, 1)::int % 3)`),
      })

    const seen: string[] = []
    let after: Search['after']
    do {
      const { people, next } = await users.search({ text: 'user-100', after, limit: 7 })
      seen.push(...people.map(({ id }) => id))
      after = next ?? undefined
    } while (after)

    expect(new Set(seen).size).to.equal(seen.length)
    expect(seen).to.have.members(await knex('users').where('username', 'like', 'user-100%').pluck('id'))
  })
})
