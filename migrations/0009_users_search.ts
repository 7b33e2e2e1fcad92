import type { Knex } from 'knex'

/**
 * For operators and admins who look for people: text_pattern_ops serves a search by prefix whatever the collation of the
 * database; usernames have their index already.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw('create index users_email_prefix on users (email text_pattern_ops)')
  await knex.raw('create index users_name_prefix on users (lower(name) text_pattern_ops)')
  await knex.raw('create index users_newest on users (created_at, id)')
  await knex.raw(`create index users_admins on users (id) where role = 'admin' and disabled_at is null`)
}

export async function down(knex: Knex): Promise<void> {
  for (const name of ['users_admins', 'users_newest', 'users_name_prefix', 'users_email_prefix'])
    await knex.raw('drop index ??', [name])
}
