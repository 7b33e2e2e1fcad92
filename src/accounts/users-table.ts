import { fromPostgres, violatedConstraint, type Knex } from '../platform/postgres.ts'
import type { EndReason } from '../sessions/index.ts'
import type { Person } from './person.ts'

interface UserRow {
  id: string
  email: string
  email_verified_at: Date | null
  username: string | null
  name: string | null
  password_hash: string
  role: 'user' | 'admin'
  disabled_at: Date | null
  session_epoch: number
  created_at: Date
  updated_at: Date
}

export interface NewPerson {
  id: string
  email: string
  username: string | null
  name: string | null
  passwordHash: string
}

export type Taken = 'email-taken' | 'username-taken'

/** What PostgreSQL says about a session before it gets new tokens. */
export type Standing = { kind: 'good'; person: Person } | { kind: 'ended'; reason: EndReason }

export type UsersTable = ReturnType<typeof createUsersTable>

/** The people in PostgreSQL. Every method throws AppError `unavailable` when the database cannot say. */
export function createUsersTable(knex: Knex) {
  async function insert(person: NewPerson, at: Date): Promise<Person | Taken> {
    return takenOr(async () => {
      const [row] = await knex<UserRow>('users')
        .insert({
          id: person.id,
          email: person.email,
          username: person.username,
          name: person.name,
          password_hash: person.passwordHash,
          created_at: at,
          updated_at: at,
        })
        .returning('*')
      return toPerson(row!)
    })
  }

  async function findById(id: string): Promise<Person | null> {
    const row = await fromPostgres(knex<UserRow>('users').where({ id }).first())
    return row ? toPerson(row) : null
  }

  async function findByEmail(email: string): Promise<Person | null> {
    const row = await fromPostgres(knex<UserRow>('users').where({ email }).first())
    return row ? toPerson(row) : null
  }

  async function findByUsername(username: string): Promise<Person | null> {
    const row = await fromPostgres(
      knex<UserRow>('users').whereRaw('lower(username collate "C") = lower(? collate "C")', [username]).first(),
    )
    return row ? toPerson(row) : null
  }

  /** Reads, in one statement, all that could forbid a session new tokens: its ending, the epoch, the person's state. */
  async function standing(userId: string, sessionId: string, epoch: number): Promise<Standing> {
    const row = (await fromPostgres(
      knex<UserRow>('users')
        .leftJoin('session_endings', (join) => join.onVal('session_endings.session_id', sessionId))
        .where('users.id', userId)
        .first('users.*', 'session_endings.reason as ended_reason'),
    )) as (UserRow & { ended_reason: EndReason | null }) | undefined
    if (!row) return { kind: 'ended', reason: 'revoked' }
    if (row.ended_reason !== null) return { kind: 'ended', reason: row.ended_reason }
    if (row.disabled_at !== null) return { kind: 'ended', reason: 'disabled' }
    if (row.session_epoch !== epoch) return { kind: 'ended', reason: 'revoked' }
    return { kind: 'good', person: toPerson(row) }
  }

  /** Changes what a person may change at will. The time of the change always moves on, so cards can be compared. */
  async function update(
    id: string,
    change: { username?: string | null; name?: string | null },
    at: Date,
  ): Promise<Person | 'username-taken' | null> {
    return takenOr(async () => {
      const [row] = await knex<UserRow>('users')
        .where({ id })
        .update({ ...change, updated_at: knex.raw("greatest(?, updated_at + interval '1 millisecond')", [at]) })
        .returning('*')
      return row ? toPerson(row) : null
    }) as Promise<Person | 'username-taken' | null>
  }

  /** Moves the epoch of a person: every session opened before is void from here on. */
  async function moveEpoch(id: string): Promise<void> {
    await fromPostgres(knex<UserRow>('users').where({ id }).increment('session_epoch', 1))
  }

  return { insert, findById, findByEmail, findByUsername, standing, update, moveEpoch }
}

/** Lets a uniqueness that the database enforces come back as a verdict. */
async function takenOr<T>(write: () => Promise<T>): Promise<T | Taken> {
  return fromPostgres(
    write().catch((error: unknown) => {
      const constraint = violatedConstraint(error)
      if (constraint === 'users_email_unique') return 'email-taken'
      if (constraint === 'users_username_unique') return 'username-taken'
      throw error
    }),
  )
}

function toPerson(row: UserRow): Person {
  return {
    id: row.id,
    email: row.email,
    emailVerifiedAt: row.email_verified_at,
    username: row.username,
    name: row.name,
    passwordHash: row.password_hash,
    role: row.role,
    disabledAt: row.disabled_at,
    sessionEpoch: row.session_epoch,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}
