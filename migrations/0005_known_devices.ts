import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw('alter table users add column sign_in_notices boolean not null default true')
  await knex.raw(`
    create table known_devices (
      user_id uuid not null references users (id) on delete cascade,
      digest text not null,
      last_seen_at timestamptz not null,
      primary key (user_id, digest)
    )`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table known_devices')
  await knex.raw('alter table users drop column sign_in_notices')
}
