import { runMigrations } from 'graphile-worker'
import knexModule, { type Knex } from 'knex'
import pg, { type Client } from 'pg'
import { silentLogger } from './jobs.ts'

/** Any fixed number: the advisory lock under which instances that start together take turns. */
export const migrationLock = 0x6c_61_74_63
const connectTimeoutMs = 5000

/**
 * Brings the schema up to date, ours and that of the job queue, and returns how many migrations of ours ran.
 *
 * Instances that start together wait for one another on an advisory lock, which PostgreSQL drops with the connection.
 * Knex's own lock is a row, which an instance that was killed would leave behind; under ours it can be freed safely.
 * A migration may take as long as it takes, so nothing here is timed but connecting; whoever has waited enough aborts,
 * which cuts the connections, and PostgreSQL takes back what was not committed.
 *
 * @param signal rejects the migration when it is aborted
 */
export async function migrate(
  url: string,
  migrationSource: Knex.MigrationSource<string>,
  { signal }: { signal?: AbortSignal } = {},
): Promise<number> {
  const clients = new Set<Client>()
  const cut = () => {
    for (const { connection } of clients) connection.stream.destroy()
  }
  const connection = {
    connectionString: url,
    application_name: 'latchkey migrate',
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  }
  const welcome = (client: Client) => {
    clients.add(client)
    if (signal?.aborted) client.connection.stream.destroy()
  }
  const knex = knexModule({
    client: 'pg',
    connection: {
      ...connection,
      // The connection that holds the lock is idle while another one migrates.
      idle_in_transaction_session_timeout: 0,
    } as Knex.PgConnectionConfig,
    pool: {
      min: 0,
      max: 2,
      afterCreate(client: Client, done: (error: Error | null, client: Client) => void) {
        welcome(client)
        done(null, client)
      },
    },
    acquireConnectionTimeout: connectTimeoutMs,
    // An instance of the version before may be started again while the others are upgraded: it finds more than it knows.
    migrations: { migrationSource, disableMigrationsListValidation: true },
    log: { warn() {}, error() {}, deprecate() {}, debug() {} },
  })
  signal?.addEventListener('abort', cut)
  try {
    return await knex.transaction(async (lock) => {
      await lock.raw('select pg_advisory_xact_lock(?)', [migrationLock])
      await knex.migrate.forceFreeMigrationsLock()
      const [, ran] = (await knex.migrate.latest()) as [number, string[]]
      await migrateJobs({ ...connection, max: 1 }, welcome)
      return ran.length
    })
  } finally {
    signal?.removeEventListener('abort', cut)
    await knex.destroy()
  }
}

/** Lets graphile-worker bring its own schema, `graphile_worker`, up to date. */
async function migrateJobs(config: pg.PoolConfig, welcome: (client: Client) => void): Promise<void> {
  const pool = new pg.Pool(config)
  pool.on('error', () => undefined)
  pool.on('connect', (client) => {
    client.on('error', () => undefined)
    welcome(client)
  })
  try {
    await runMigrations({ pgPool: pool, logger: silentLogger })
  } finally {
    await pool.end()
  }
}
