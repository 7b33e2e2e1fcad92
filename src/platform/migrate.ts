import knexModule, { type Knex } from 'knex'

/** Any fixed number: the advisory lock under which instances that start together take turns. */
const migrationLock = 0x6c_61_74_63

/**
 * Brings the schema up to date and returns how many migrations ran.
 *
 * Instances that start together wait for one another on an advisory lock, which PostgreSQL drops with the connection.
 * Knex's own lock is a row, which an instance that was killed would leave behind; under ours it can be freed safely.
 */
export async function migrate(url: string, migrationSource: Knex.MigrationSource<string>): Promise<number> {
  const knex = knexModule({
    client: 'pg',
    connection: { connectionString: url, application_name: 'latchkey migrate', connectionTimeoutMillis: 5000 },
    pool: { min: 0, max: 2 },
    acquireConnectionTimeout: 5000,
    migrations: { migrationSource },
  })
  try {
    return await knex.transaction(async (lock) => {
      await lock.raw('select pg_advisory_xact_lock(?)', [migrationLock])
      await knex.migrate.forceFreeMigrationsLock()
      const [, ran] = (await knex.migrate.latest()) as [number, string[]]
      return ran.length
    })
  } finally {
    await knex.destroy()
  }
}
