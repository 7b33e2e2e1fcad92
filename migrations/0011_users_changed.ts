import type { Knex } from 'knex'

/** For a Redis that has lost its last writes: whoever was changed of late is told to it again. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw('create index users_updated_at on users (updated_at, id)')
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop index users_updated_at')
}
