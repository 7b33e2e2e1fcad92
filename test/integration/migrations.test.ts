import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import knexModule, { type Knex } from 'knex'
import { migrationSource } from '../../migrations/index.ts'
import { migrate } from '../../src/platform/migrate.ts'
import { eventually } from '../support/eventually.ts'
import { databaseUrl, withDatabase } from '../support/stores.ts'

const names = [
  '0001_users',
  '0002_session_endings',
  '0003_mails',
  '0004_one_time_tokens',
  '0005_known_devices',
  '0006_audit_events',
  '0007_settings',
  '0008_service_clients',
  '0009_users_search',
  '0010_session_epochs',
  '0011_users_changed',
]

describe('migrations', () => {
  let server: Knex
  let url: string
  let database: Knex
  let count = 0

  beforeEach(async () => {
    server = knexModule({ client: 'pg', connection: databaseUrl(), pool: { min: 0, max: 1 } })
    const name = `${new URL(databaseUrl()).pathname.slice(1)}_migrations_${++count}`
    await server.raw('create database ??', [name])
    url = withDatabase(databaseUrl(), name)
    database = knexModule({ client: 'pg', connection: url, pool: { min: 0, max: 3 }, migrations: { migrationSource } })
  })
  afterEach(async () => {
    await database.destroy()
    await server.raw('drop database ?? with (force)', [new URL(url).pathname.slice(1)])
    await server.destroy()
  })

  const recorded = () => database('knex_migrations').orderBy('id').pluck('name')

  /** Every table, column, constraint and index, as the server describes it. */
  async function schema(): Promise<unknown> {
    const { rows } = await database.raw(`
      select table_name as place, column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') as what
        from information_schema.columns where table_schema = 'public'
      union all select indexname, indexdef from pg_indexes where schemaname = 'public'
      union all select conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace
      order by 1, 2`)
    return rows
  }

  it('run once, however many instances start at the same time', async () => {
    const ran = await Promise.all(Array.from({ length: 8 }, () => migrate(url, migrationSource)))

    expect(ran.toSorted((a, b) => a - b)).to.deep.equal([0, 0, 0, 0, 0, 0, 0, names.length])
    expect(await recorded()).to.deep.equal(names)
  })

  it('leave alone what a newer version has done, so that an older one can be started again', async () => {
    await migrate(url, migrationSource)
    const older = { ...migrationSource, getMigrations: async () => names.slice(0, -2) }

    expect(await migrate(url, older)).to.equal(0)

    expect(await recorded()).to.deep.equal(names)
    expect(await migrate(url, migrationSource)).to.equal(0)
  })

  it('are recorded without extension, so that the sources and the build agree', async () => {
    await migrate(url, migrationSource)

    expect(await recorded()).to.deep.equal(await migrationSource.getMigrations([]))
    for (const name of await recorded()) expect(name).to.match(/^\d{4}_[a-z_]+$/)
  })

  it('lead to the same schema up, down and up again', async () => {
    await migrate(url, migrationSource)
    const before = await schema()

    await database.migrate.rollback(undefined, true)
    expect(await recorded()).to.deep.equal([])
    expect(await database.schema.hasTable('users')).to.equal(false)
    await migrate(url, migrationSource)

    expect(await schema()).to.deep.equal(before)
  })

  it('are not held up by the lock row of an instance that was killed', async () => {
    await migrate(url, migrationSource)
    await database('knex_migrations_lock').update({ is_locked: 1 })
    await database('knex_migrations').where({ name: names[1] }).del()
    await database.schema.dropTable('session_endings')

    expect(await migrate(url, migrationSource)).to.equal(1)
    expect(await recorded()).to.have.members(names)
  })

  it('go on where an instance was killed in the middle', async () => {
    const obstacle = await database.transaction()
    await obstacle.raw('create table session_endings (x int)') // the second migration waits for the outcome of this
    const script = `
      import { migrate } from './src/platform/migrate.ts'
      import { migrationSource } from './migrations/index.ts'
      await migrate(process.argv[1], migrationSource)`
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, url])
    await eventually(async () => {
      const { rows } = await database.raw(
        "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      )
      expect(rows).to.have.length(1)
    }, 10_000)

    child.kill('SIGKILL')
    await once(child, 'exit')
    await obstacle.rollback()

    expect(await migrate(url, migrationSource)).to.equal(names.length)
    expect(await recorded()).to.deep.equal(names)
  })

  it('that are aborted leave nothing half done', async () => {
    const obstacle = await database.transaction()
    await obstacle.raw('create table session_endings (x int)')
    const stop = new AbortController()
    const migrating = migrate(url, migrationSource, { signal: stop.signal }).then(
      () => 'done',
      () => 'aborted',
    )
    await eventually(async () => {
      const { rows } = await database.raw(
        "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      )
      expect(rows).to.have.length(1)
    })

    stop.abort()

    expect(await migrating).to.equal('aborted')
    await obstacle.rollback()
    expect(await migrate(url, migrationSource)).to.equal(names.length)
  })
})
