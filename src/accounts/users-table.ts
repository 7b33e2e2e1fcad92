import { validate } from 'uuid'
import { gather } from '../platform/gather.ts'
import { fromPostgres, pagesSince, violatedConstraint, type Knex } from '../platform/postgres.ts'
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
  pending_email: string | null
  sign_in_notices: boolean
  password_changed_at: Date | null
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
  /** `user` where nothing is said. */
  role?: Person['role']
}

/** A page of a search. */
export interface Search {
  /** An id, or what an e-mail address, a username or a name begins with; everybody where nothing is said. */
  text?: string | undefined
  /** Only people who come after this one. */
  after?: Place | undefined
  limit: number
}

/** Where somebody stands in the order of all people. */
export interface Place {
  /** Since 1970, as PostgreSQL has it: a Date would lose what is below a millisecond. */
  createdAtMicros: string
  id: string
}

/** Somebody who comes from another system. */
export interface Newcomer extends NewPerson {
  role: Person['role']
  emailVerifiedAt: Date | null
  createdAt: Date
}

/** Which of several people were new, and which addresses of the others have an account. */
export interface Settled {
  ids: Set<string>
  knownEmails: Set<string>
}

export type Taken = 'email-taken' | 'username-taken'

/** What PostgreSQL says about a session before it gets new tokens. */
export type Standing = { kind: 'good'; person: Person } | { kind: 'ended'; reason: EndReason }

/** A session of which it is asked whether it may have new tokens. */
export interface AskedSession {
  id: string
  userId: string
  epoch: number
}

export type UsersTable = ReturnType<typeof createUsersTable>

/** Of how many sessions PostgreSQL is asked at once. */
const standingsMax = 64

/** Each as it was asked, its person and its ending; as text, since building it would take a twentieth of a refresh. */
const standings = `
  select users.*, session_endings.reason as ended_reason
  from unnest(?::uuid[], ?::uuid[]) with ordinality as asked (session_id, user_id, place)
  left join users on users.id = asked.user_id
  left join session_endings on session_endings.session_id = asked.session_id
  order by place`

/** Any fixed number: the advisory lock on which imports take turns. */
export const importLock = 0x69_6d_70_6f

/** The people in PostgreSQL. Every method throws AppError `unavailable` when the database cannot say. */
export function createUsersTable(knex: Knex) {
  /** Inserts a person, together with what else belongs to the registration. */
  async function insert(
    person: NewPerson,
    at: Date,
    andAlso: (trx: Knex) => Promise<unknown>,
  ): Promise<Person | Taken> {
    return takenOr(() =>
      knex.transaction(async (trx) => {
        const [row] = await trx<UserRow>('users')
          .insert({
            id: person.id,
            email: person.email,
            username: person.username,
            name: person.name,
            password_hash: person.passwordHash,
            ...(person.role && { role: person.role }),
            created_at: at,
            updated_at: at,
          })
          .returning('*')
        await andAlso(trx)
        return toPerson(row!)
      }),
    )
  }

  /**
   * Inserts those of several people whose address and username are free; the first one who has it gets it.
   *
   * Imports take turns, or two that name the same people in another order would wait for each other.
   */
  async function insertNewcomers(trx: Knex, people: Newcomer[], at: Date): Promise<Settled> {
    await trx.raw('select pg_advisory_xact_lock(?)', [importLock])
    const column = (member: keyof Newcomer) => people.map((person) => person[member]) as string[]
    const { rows } = (await trx.raw(
      `insert into users (id, email, username, name, password_hash, role, email_verified_at, created_at, updated_at)
        select *, ?::timestamptz from unnest(?::uuid[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[],
          ?::timestamptz[], ?::timestamptz[])
        on conflict do nothing returning id`,
      [
        at,
        column('id'),
        column('email'),
        column('username'),
        column('name'),
        column('passwordHash'),
        column('role'),
        column('emailVerifiedAt'),
        column('createdAt'),
      ],
    )) as { rows: { id: string }[] }
    const ids = new Set(rows.map(({ id }) => id))
    return { ids, knownEmails: await emailsKnownIn(trx, 'users', people, ids) }
  }

  /** The addresses of those who were not inserted that are in a table. */
  async function emailsKnownIn(
    within: Knex,
    table: string,
    people: Newcomer[],
    inserted: Set<string>,
  ): Promise<Set<string>> {
    const left = people.filter(({ id }) => !inserted.has(id)).map(({ email }) => email)
    if (left.length === 0) return new Set()
    return new Set((await fromPostgres(within(table).whereIn('email', left).pluck('email'))) as string[])
  }

  /** Inserts people into a table that only this process sees, with the uniqueness of `users`, and never into that one. */
  async function openRehearsal() {
    const bench = await fromPostgres(openBench())
    const { run } = bench
    await run('create temporary table rehearsed (id uuid, email text unique, username text)')
    await run('create unique index on rehearsed (lower(username collate "C"))')
    return {
      insertNewcomers: async (people: Newcomer[]): Promise<Settled> => {
        const { rows } = (await run(
          `insert into rehearsed select * from unnest(?::uuid[], ?::text[], ?::text[]) as one (id, email, username)
            where not exists (select from users where users.email = one.email)
              and not exists (select from users
                where lower(users.username collate "C") = lower(one.username collate "C"))
            on conflict do nothing returning id`,
          [people.map(({ id }) => id), people.map(({ email }) => email), people.map(({ username }) => username)],
        )) as { rows: { id: string }[] }
        const ids = new Set(rows.map(({ id }) => id))
        const left = people.filter(({ id }) => !ids.has(id)).map(({ email }) => email)
        const known = (await run(
          'select email from users where email = any(?) union select email from rehearsed where email = any(?)',
          [left, left],
        )) as { rows: { email: string }[] }
        return { ids, knownEmails: new Set(known.rows.map(({ email }) => email)) }
      },
      close: async (): Promise<void> => {
        await run('drop table rehearsed')
        await bench.close()
      },
    }
  }

  /** One connection for several statements that are no transaction: nothing is locked between them. */
  async function openBench() {
    const connection = (await knex.client.acquireConnection()) as unknown
    return {
      run: (sql: string, values: unknown[] = []): Promise<unknown> =>
        fromPostgres(knex.raw(sql, values as never[]).connection(connection)),
      close: async () => void (await knex.client.releaseConnection(connection)),
    }
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

  /** A page of the people whom a search finds, the newest first, and where the next page begins. */
  async function search({ text, after, limit }: Search): Promise<{ people: Person[]; next: Place | null }> {
    const query = knex<UserRow>('users')
      .select('*', knex.raw('(extract(epoch from created_at) * 1000000)::bigint as created_at_micros'))
      .orderBy([
        { column: 'created_at', order: 'desc' },
        { column: 'id', order: 'desc' },
      ])
      .limit(limit + 1)
    if (text !== undefined) void query.where((match) => void matching(match, text))
    if (after)
      void query.whereRaw("(created_at, id) < (timestamptz 'epoch' + ?::bigint * interval '1 microsecond', ?::uuid)", [
        after.createdAtMicros,
        after.id,
      ])
    const rows = (await fromPostgres(query)) as (UserRow & { created_at_micros: string })[]
    const page = rows.slice(0, limit)
    const last = rows.length > limit ? page.at(-1) : undefined
    return {
      people: page.map(toPerson),
      next: last ? { createdAtMicros: last.created_at_micros, id: last.id } : null,
    }
  }

  function matching(query: Knex.QueryBuilder, text: string): Knex.QueryBuilder {
    if (validate(text)) return query.where({ id: text })
    const prefix = `${text.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
    return query
      .whereRaw('email like lower(?)', [prefix])
      .orWhereRaw('lower(username collate "C") like lower(? collate "C")', [prefix])
      .orWhereRaw('lower(name) like lower(?)', [prefix])
  }

  /**
   * Reads, in one statement for all who ask in one turn of the event loop, all that could forbid a session new tokens: its
   * ending, the epoch, the person's state.
   */
  const standing = gather<AskedSession, Standing>(standingsMax, async (batch) => {
    const asked: typeof batch = []
    for (const one of batch)
      if (isNamed(one.question)) asked.push(one)
      else one.resolve({ kind: 'ended', reason: 'revoked' })
    if (asked.length === 0) return
    const { rows } = (await fromPostgres(
      knex.raw(standings, [asked.map(({ question }) => question.id), asked.map(({ question }) => question.userId)]),
    )) as { rows: (UserRow & { ended_reason: EndReason | null })[] }
    asked.forEach(({ question, resolve }, i) => resolve(standingIn(rows[i]!, question.epoch)))
  })

  /** Of several sessions those that PostgreSQL does not let go on, each with why. */
  async function endedAmong(sessions: AskedSession[]): Promise<Map<string, EndReason>> {
    const ended = new Map<string, EndReason>()
    const asked: typeof sessions = []
    for (const one of sessions)
      if (isNamed(one)) asked.push(one)
      else ended.set(one.id, 'revoked')
    if (asked.length === 0) return ended
    const { rows } = (await fromPostgres(
      knex.raw(
        `select asked.id, users.id is null as is_unknown, users.session_epoch is distinct from asked.epoch as is_old,
            users.disabled_at is not null as is_disabled, session_endings.reason
          from unnest(?::uuid[], ?::uuid[], ?::bigint[]) as asked (id, user_id, epoch)
            left join users on users.id = asked.user_id
            left join session_endings on session_endings.session_id = asked.id`,
        [asked.map(({ id }) => id), asked.map(({ userId }) => userId), asked.map(({ epoch }) => String(epoch))],
      ),
    )) as {
      rows: { id: string; is_unknown: boolean; is_old: boolean; is_disabled: boolean; reason: EndReason | null }[]
    }
    for (const { id, is_unknown: isUnknown, is_old: isOld, is_disabled: isDisabled, reason } of rows)
      if (reason !== null) ended.set(id, reason)
      else if (isDisabled) ended.set(id, 'disabled')
      else if (isUnknown || isOld) ended.set(id, 'revoked')
    return ended
  }

  /**
   * Writes members of a person, in the transaction of what they are about; null when there is no such person.
   *
   * The time of the change always moves on, so cards can be compared.
   */
  async function amend(
    within: Knex,
    id: string,
    change: Partial<
      Pick<UserRow, Exclude<keyof UserRow, 'id' | 'email' | 'session_epoch' | 'created_at' | 'updated_at'>>
    >,
    at: Date,
  ): Promise<Person | null> {
    const [row] = await within<UserRow>('users')
      .where({ id })
      .update({ ...change, updated_at: movingOn(at) })
      .returning('*')
    return row ? toPerson(row) : null
  }

  /** Gives a person, who must be locked, another password; the address they wanted is forgotten. */
  async function setPassword(trx: Knex, id: string, passwordHash: string, at: Date): Promise<Person> {
    const change = { password_hash: passwordHash, password_changed_at: at, pending_email: null }
    return (await amend(trx, id, change, at))!
  }

  /** Puts another hash of the same password in the place of one; false when that does not stand any more. */
  async function renewHash(id: string, from: string, to: string): Promise<boolean> {
    const renewed = knex<UserRow>('users').where({ id, password_hash: from }).update({ password_hash: to })
    return (await fromPostgres(renewed)) === 1
  }

  /** Confirms an address: the one a person has, or the one they wanted, which then takes its place. */
  async function confirmEmail(trx: Knex, id: string, email: string, at: Date): Promise<Person | null> {
    const [row] = await trx<UserRow>('users')
      .where({ id, disabled_at: null })
      .whereRaw('? in (email, pending_email)', [email])
      .update({
        email,
        pending_email: knex.raw('case when pending_email = ? then null else pending_email end', [email]),
        email_verified_at: at,
        updated_at: movingOn(at),
      })
      .returning('*')
    return row ? toPerson(row) : null
  }

  /**
   * Remembers a device that somebody signed in from; true when it is one they had not used before.
   *
   * Of somebody who is being deleted nothing is remembered: their row is asked for, and waited for, as it is inserted.
   */
  async function noteDevice(trx: Knex, userId: string, deviceDigest: string, at: Date): Promise<boolean> {
    const known = await trx('known_devices')
      .where({ user_id: userId, digest: deviceDigest })
      .update({ last_seen_at: at })
    if (known === 1) return false
    const { rowCount } = (await trx.raw(
      `insert into known_devices (user_id, digest, last_seen_at)
       select id, ?, ? from users where id = ? for key share
       on conflict (user_id, digest) do nothing`,
      [deviceDigest, at, userId],
    )) as { rowCount: number }
    return rowCount === 1
  }

  /** The people who were changed since a time, a page at a time. */
  async function* changedSince(since: Date): AsyncGenerator<Person[]> {
    for await (const rows of pagesSince<UserRow>(knex('users'), 'updated_at', 'id', since)) yield rows.map(toPerson)
  }

  /** Locks a person until the transaction ends, so that whoever changes them comes before or after, never between. */
  async function lock(trx: Knex, id: string): Promise<Person | null> {
    const row = await trx<UserRow>('users').where({ id }).forUpdate().first()
    return row ? toPerson(row) : null
  }

  /**
   * Locks people, and every admin who can act, until the transaction ends: which of the admins is the last one then stays
   * as it is. Always in one order, so that of those who do this at one time none waits for another in a ring.
   */
  async function lockWithAdmins(trx: Knex, ids: string[]): Promise<Person[]> {
    const rows = await trx<UserRow>('users')
      .whereIn('id', ids)
      .orWhere({ role: 'admin', disabled_at: null })
      .orderBy('id')
      .forNoKeyUpdate()
    return rows.map(toPerson)
  }

  async function remove(trx: Knex, id: string): Promise<void> {
    await trx<UserRow>('users').where({ id }).delete()
  }

  const movingOn = (at: Date) => knex.raw("greatest(?, updated_at + interval '1 millisecond')", [at])

  /** Runs changes in one transaction. A refusal thrown in it takes back what was written, and reaches the caller as it is. */
  async function alongside<T>(work: (trx: Knex) => Promise<T>): Promise<T> {
    return fromPostgres(knex.transaction((trx) => work(trx)))
  }

  return {
    insert,
    insertNewcomers,
    openRehearsal,
    findById,
    findByEmail,
    findByUsername,
    standing,
    endedAmong,
    setPassword,
    renewHash,
    amend,
    confirmEmail,
    noteDevice,
    search,
    changedSince,
    lock,
    lockWithAdmins,
    remove,
    alongside,
  }
}

/** Lets a uniqueness that the database enforces come back as a verdict. */
export async function takenOr<T>(write: () => Promise<T>): Promise<T | Taken> {
  return fromPostgres(
    write().catch((error: unknown) => {
      const constraint = violatedConstraint(error)
      if (constraint === 'users_email_unique') return 'email-taken'
      if (constraint === 'users_username_unique') return 'username-taken'
      throw error
    }),
  )
}

const idForm = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i

/** Whether these have the form of ids: an operator's hand may have been in Redis. */
const isNamed = ({ id, userId }: AskedSession) => idForm.test(id) && idForm.test(userId)

function standingIn(row: UserRow & { ended_reason: EndReason | null }, epoch: number): Standing {
  if (row.id === null) return { kind: 'ended', reason: 'revoked' }
  if (row.ended_reason !== null) return { kind: 'ended', reason: row.ended_reason }
  if (row.disabled_at !== null) return { kind: 'ended', reason: 'disabled' }
  if (row.session_epoch !== epoch) return { kind: 'ended', reason: 'revoked' }
  return { kind: 'good', person: toPerson(row) }
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
    pendingEmail: row.pending_email,
    signInNotices: row.sign_in_notices,
    sessionEpoch: row.session_epoch,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}
