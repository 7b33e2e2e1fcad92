import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table settings (
      name text primary key,
      value jsonb not null,
      changed_at timestamptz not null,
      changed_by uuid
    )`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table settings')
}
