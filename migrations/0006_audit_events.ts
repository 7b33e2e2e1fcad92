import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table audit_events (
      id uuid primary key,
      at timestamptz not null,
      event text not null,
      user_id uuid,
      actor text not null check (actor in ('person', 'stranger', 'admin', 'operator', 'service')),
      actor_id uuid,
      session_id uuid,
      address text,
      user_agent text,
      detail jsonb not null default '{}'
    )`)
  await knex.raw('create index audit_events_user on audit_events (user_id, id)')
  await knex.raw('create index audit_events_event on audit_events (event, id)')
  await knex.raw('create index audit_events_at on audit_events (at)')
  await knex.raw(`
    create function audit_events_stay() returns trigger language plpgsql as $$
    begin
      raise exception 'audit events are not changed' using errcode = 'restrict_violation';
    end $$`)
  await knex.raw(`
    create trigger audit_events_stay before update or truncate on audit_events
      for each statement execute function audit_events_stay()`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table audit_events')
  await knex.raw('drop function audit_events_stay()')
}
