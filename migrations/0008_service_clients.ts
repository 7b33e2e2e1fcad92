import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table service_clients (
      id uuid primary key,
      name text not null,
      secret_digest text not null,
      created_at timestamptz not null,
      created_by uuid,
      last_used_at timestamptz,
      revoked_at timestamptz
    )`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table service_clients')
}
