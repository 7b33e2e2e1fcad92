import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table users (
      id uuid primary key,
      email text not null,
      email_verified_at timestamptz,
      username text,
      name text,
      password_hash text not null,
      role text not null default 'user' check (role in ('user', 'admin')),
      disabled_at timestamptz,
      session_epoch integer not null default 0,
      password_changed_at timestamptz,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      constraint users_email_unique unique (email),
      constraint users_email_canonical check (email = lower(email collate "C")),
      constraint users_username_no_email check (position('@' in username) = 0)
    )`)
  await knex.raw(`create unique index users_username_unique on users (lower(username collate "C"))`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table users')
}
