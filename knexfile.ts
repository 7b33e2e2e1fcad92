import type { Knex } from 'knex'
import { migrationSource } from './migrations/index.ts'

/** For the knex command line: `DATABASE_URL=… NODE_OPTIONS="--import tsx" npx knex migrate:status`. */
const config: Knex.Config = {
  client: 'pg',
  ...(process.env['DATABASE_URL'] && { connection: process.env['DATABASE_URL'] }),
  migrations: { migrationSource },
}

export default config
