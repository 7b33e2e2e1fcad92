import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table mails (
      id uuid primary key,
      kind text not null,
      user_id uuid not null,
      address text not null,
      facts jsonb not null,
      message_id text not null,
      status text not null default 'queued' check (status in ('queued', 'sent', 'failed', 'dropped')),
      attempts integer not null default 0,
      last_error text,
      created_at timestamptz not null default now(),
      next_attempt_at timestamptz not null default now(),
      gives_up_at timestamptz not null,
      sent_at timestamptz
    )`)
  await knex.raw('create index mails_status on mails (status, id)')
  await knex.raw('create index mails_user on mails (user_id)')
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table mails')
}
