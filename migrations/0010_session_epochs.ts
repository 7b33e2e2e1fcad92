import type { Knex } from 'knex'

/**
 * When somebody's epoch moved, and to what: a Redis that has lost its last writes is told again. Of people who were
 * deleted it says that no session of theirs is good; the row goes like those of single endings.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table session_epochs (
      user_id uuid primary key,
      epoch integer not null,
      reason text not null,
      moved_at timestamptz not null
    )`)
  await knex.raw('create index session_epochs_moved_at on session_epochs (moved_at)')
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table session_epochs')
}
