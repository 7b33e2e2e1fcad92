import { v4, validate } from 'uuid'
import type { Actor } from '../audit/index.ts'
import { AppError } from '../errors.ts'
import type { Knex } from '../platform/postgres.ts'
import { canonicalLabel } from '../platform/label.ts'
import type { Session } from '../sessions/index.ts'
import { isActiveAdmin, mustNotBeLastAdmin } from './admins.ts'
import { consequences as table, type Consequences } from './consequences.ts'
import type { Ending } from './ending.ts'
import type { Parts } from './parts.ts'
import { cardOf, type Person } from './person.ts'
import { canonicalEmail, isUsername, mustBeFaultless } from './rules.ts'
import { takenOr, type Place } from './users-table.ts'

const pageMax = 100

/**
 * What is done to people's accounts by somebody else: an admin, who must be one still when the change is made, or an
 * operator. Each change is in the audit, with who made it, or it has not happened.
 *
 * Ids are taken in any case and used as PostgreSQL writes them: another spelling would be another key in Redis.
 */
export function createAdministration({
  users,
  endings,
  sessions,
  passwords,
  mails,
  audit,
  clock,
  log,
  faults,
  consequences,
  endOne,
  endAll,
}: Parts & { consequences: Consequences } & Pick<Ending, 'endOne' | 'endAll'>) {
  const now = () => new Date(clock.now())

  /** Asks PostgreSQL whether somebody is an admin now. @throws AppError `forbidden` when they are none, or disabled */
  async function mustBeAdmin(userId: string): Promise<void> {
    if (!isActiveAdmin(await users.findById(userId))) throw new AppError('forbidden')
  }

  /**
   * Finds people by their id or by what their e-mail address, username or name begins with, in any case; newest first.
   *
   * @param cursor the `nextCursor` of the page before
   * @throws AppError `validation-failed` for a cursor that is none of ours
   */
  async function list({
    query,
    cursor,
    limit = pageMax,
  }: {
    query?: string | undefined
    cursor?: string | undefined
    limit?: number | undefined
  }): Promise<{ items: Person[]; nextCursor: string | null }> {
    const after = cursor === undefined ? undefined : placeAt(cursor)
    const { people, next } = await users.search({ text: query, after, limit })
    return { items: people, nextCursor: next && cursorTo(next) }
  }

  /**
   * Creates an account. Nobody chooses a password for somebody else: its owner gets a mail with a link to do so, and
   * nobody can log in before.
   *
   * @param password an operator may give their own account one; its owner then confirms the address by mail
   * @throws AppError `validation-failed`, `password-refused`, `email-taken`, `username-taken`, `forbidden`
   */
  async function create(
    {
      email,
      username,
      name,
      role = 'user',
      password,
    }: {
      email: string
      username?: string | null | undefined
      name?: string | null | undefined
      role?: Person['role'] | undefined
      password?: string | undefined
    },
    by: Actor,
  ): Promise<Person> {
    mustBeFaultless(faults({ email, username, name, password }))
    const passwordHash = password === undefined ? passwords.hashOfNobody() : await passwords.hash(password)
    const [id, address, at] = [v4(), canonicalEmail(email)!, now()]
    const person = await users.insert(
      { id, email: address, username: username ?? null, name: canonicalLabel(name ?? ''), role, passwordHash },
      at,
      async (trx) => {
        await mustStillBeAdmin(trx, by)
        const kind = password === undefined ? 'set-password' : 'verify-email'
        await mails.queue(trx, { kind, userId: id, address, facts: { at: at.toISOString() } })
        await audit.record(trx, { event: 'account.created', actor: by, userId: id, detail: { role } })
      },
    )
    if (person === 'email-taken' || person === 'username-taken') throw new AppError(person)
    log('account.created', { user_id: person.id })
    return person
  }

  /** @throws AppError `not-found` */
  async function read(userId: string): Promise<Person> {
    return found(await users.findById(userId))
  }

  /** Finds somebody by the id, the e-mail address or the username they have. @throws AppError `not-found` */
  async function find(who: string): Promise<Person> {
    if (validate(who)) return read(who)
    const email = canonicalEmail(who)
    if (email !== null) return found(await users.findByEmail(email))
    return found(isUsername(who) ? await users.findByUsername(who) : null)
  }

  /**
   * Changes somebody's username, name or role; a member that is missing stays, null clears.
   *
   * PostgreSQL commits first; then the card in Redis follows, so that gateways see the change with their next question.
   *
   * @throws AppError `validation-failed`, `not-found`, `username-taken`, `last-admin`, `forbidden`; `unavailable` when not
   *   both stores have confirmed, and repeating it is harmless
   */
  async function edit(
    userId: string,
    members: {
      username?: string | null | undefined
      name?: string | null | undefined
      role?: Person['role'] | undefined
    },
    by: Actor,
  ): Promise<Person> {
    const { username, name, role } = members
    mustBeFaultless(faults({ username, name }))
    const person = await read(userId)
    const changed = await takenOr(() =>
      users.alongside(async (trx) => {
        const { held, before } = await hold(trx, person.id, by)
        if (role === 'user') mustNotBeLastAdmin(held, person.id)
        const named = (['username', 'name'] as const).filter((member) => members[member] !== undefined)
        if (named.length > 0)
          await audit.record(trx, {
            event: 'account.changed',
            actor: by,
            userId: person.id,
            detail: { members: named },
          })
        if (role !== undefined)
          await consequences.follow(trx, 'role-change', { person, by, detail: { from: before.role, to: role } })
        return found(
          await users.amend(
            trx,
            person.id,
            {
              ...(username !== undefined && { username }),
              ...(name !== undefined && { name: canonicalLabel(name ?? '') }),
              ...(role !== undefined && { role }),
            },
            now(),
          ),
        )
      }),
    )
    if (changed === 'email-taken' || changed === 'username-taken') throw new AppError(changed)
    await sessions.putCard(changed.id, cardOf(changed))
    if (role !== undefined) log('account.role_changed', { user_id: changed.id })
    return changed
  }

  /**
   * Deletes an account with everything that belongs to it.
   *
   * @throws AppError `not-found`, `last-admin`, `forbidden`
   */
  async function remove(userId: string, by: Actor): Promise<void> {
    const person = await read(userId)
    await consequences.carryOut('delete', { person, by }, async (trx, at) => {
      const { held } = await hold(trx, person.id, by)
      mustNotBeLastAdmin(held, person.id)
      await users.remove(trx, person.id)
      await endings.endForGood(trx, person.id, table.delete.reason, at)
      return null
    })
    log('account.deleted', { user_id: person.id })
  }

  /**
   * Disables an account: every session ends, no link in a mail works any more, and nobody logs in.
   *
   * Repeating it is harmless, and confirms what a store that was away had not.
   *
   * @throws AppError `not-found`, `last-admin`, `forbidden`; `unavailable`, and with Redis away nothing has changed
   */
  async function disable(userId: string, by: Actor): Promise<Person> {
    const person = await read(userId)
    const disabled = await consequences.carryOut('disable', { person, by }, async (trx, at) => {
      const { held, before } = await hold(trx, person.id, by)
      mustNotBeLastAdmin(held, person.id)
      const change = { disabled_at: before.disabledAt ?? at, pending_email: null }
      return found(await users.amend(trx, person.id, change, at))
    })
    log('account.disabled', { user_id: person.id })
    return disabled
  }

  /**
   * Enables an account again. What ended when it was disabled stays ended.
   *
   * @throws AppError `not-found`, `forbidden`, `unavailable`
   */
  async function enable(userId: string, by: Actor): Promise<Person> {
    const person = await read(userId)
    const enabled = await users.alongside(async (trx) => {
      await hold(trx, person.id, by)
      await audit.record(trx, { event: 'account.enabled', actor: by, userId: person.id })
      return found(await users.amend(trx, person.id, { disabled_at: null }, now()))
    })
    log('account.enabled', { user_id: person.id })
    return enabled
  }

  /**
   * Sends somebody a link to reset their password, however many they have got already. To a disabled account none is sent.
   *
   * @throws AppError `not-found`, `forbidden`, `unavailable`
   */
  async function requestPasswordReset(userId: string, by: Actor): Promise<void> {
    const { id, email } = await read(userId)
    await users.alongside(async (trx) => {
      await mustStillBeAdmin(trx, by)
      const facts = { at: now().toISOString() }
      await mails.queue(trx, { kind: 'reset-password', userId: id, address: email, facts })
      await audit.record(trx, { event: 'password.reset_requested', actor: by, userId: id })
    })
  }

  /** The open sessions of somebody, newest first. @throws AppError `not-found` */
  async function sessionsOf(userId: string): Promise<Session[]> {
    const { id } = await read(userId)
    return sessions.list(id)
  }

  /** Ends all sessions of somebody; returns how many were open. @throws AppError `not-found`, `unavailable` */
  async function endSessions(userId: string, by: Actor): Promise<number> {
    const { id } = await read(userId)
    return endAll('revoke-all', id, by)
  }

  /** Ends one session of somebody. @throws AppError `not-found`, also when it is another person's; `unavailable` */
  async function endSession(userId: string, sessionId: string, by: Actor): Promise<void> {
    const { id } = await read(userId)
    await endOne(id, sessionId, by)
  }

  /** Locks the admin who asks. @throws AppError `forbidden` when they have ceased to be one */
  async function mustStillBeAdmin(trx: Knex, by: Actor): Promise<void> {
    if (by.kind === 'admin' && !isActiveAdmin(await users.lock(trx, by.id!))) throw new AppError('forbidden')
  }

  /**
   * Locks somebody and all admins, before a change of the one, and reads them anew.
   *
   * @throws AppError `forbidden` when the admin who asks has ceased to be one; `not-found`
   */
  async function hold(trx: Knex, userId: string, by: Actor): Promise<{ held: Person[]; before: Person }> {
    const held = await users.lockWithAdmins(trx, [userId])
    if (by.kind === 'admin' && !isActiveAdmin(held.find(({ id }) => id === by.id))) throw new AppError('forbidden')
    return { held, before: found(held.find(({ id }) => id === userId)) }
  }

  return {
    mustBeAdmin,
    list,
    create,
    read,
    find,
    edit,
    remove,
    disable,
    enable,
    requestPasswordReset,
    sessions: sessionsOf,
    endSessions,
    endSession,
  }
}

function found(person: Person | null | undefined): Person {
  if (!person) throw new AppError('not-found')
  return person
}

function cursorTo({ createdAtMicros, id }: Place): string {
  return Buffer.from(`${createdAtMicros}.${id}`).toString('base64url')
}

/** @throws AppError `validation-failed`: only what {@link cursorTo} has written comes near the database */
function placeAt(cursor: string): Place {
  const [, createdAtMicros, id] = /^(\d{1,16})\.(.+)$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  const place = { createdAtMicros: createdAtMicros ?? '', id: id ?? '' }
  if (!validate(place.id) || cursorTo(place) !== cursor)
    throw new AppError('validation-failed', {
      faults: [{ member: 'cursor', detail: 'must be the next_cursor of a list' }],
    })
  return place
}
