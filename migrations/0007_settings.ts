import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table settings (
      name text primary key,
      value jsonb not null,
      changed_at timestamptz not null,
      changed_by uuid
    )`)
  await knex.raw(`
    create table lives (
      name text primary key,
      start_seconds integer not null,
      lapsed_to timestamptz not null
    )`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table lives')
  await knex.raw('drop table settings')
}
