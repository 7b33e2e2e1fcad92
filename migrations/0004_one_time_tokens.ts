import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw('alter table users add column pending_email text')
  for (const table of ['password_reset_tokens', 'email_verification_tokens']) {
    await knex.raw(
      `create table ?? (
        digest text primary key,
        user_id uuid not null references users (id) on delete cascade,
        email text not null,
        mail_id uuid not null,
        queued_at timestamptz not null,
        expires_at timestamptz not null,
        used_at timestamptz,
        created_at timestamptz not null
      )`,
      [table],
    )
    await knex.raw('create index ?? on ?? (user_id)', [`${table}_user`, table])
    await knex.raw('create index ?? on ?? (expires_at)', [`${table}_expires_at`, table])
  }
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table email_verification_tokens')
  await knex.raw('drop table password_reset_tokens')
  await knex.raw('alter table users drop column pending_email')
}
