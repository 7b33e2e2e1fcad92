import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table session_endings (
      session_id uuid primary key,
      user_id uuid not null,
      reason text not null,
      actor_id uuid,
      ended_at timestamptz not null
    )`)
  await knex.raw('create index session_endings_user on session_endings (user_id)')
  await knex.raw('create index session_endings_ended_at on session_endings (ended_at)')
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table session_endings')
}
