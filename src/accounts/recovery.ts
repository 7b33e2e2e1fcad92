import { v4 } from 'uuid'
import { AppError } from '../errors.ts'
import type { Knex } from '../platform/postgres.ts'
import type { Client } from '../sessions/index.ts'
import { owner, stranger } from './actor.ts'
import { mustNotBeLastAdmin } from './admins.ts'
import { consequences as table, type Consequences } from './consequences.ts'
import type { Caller } from './ending.ts'
import type { Purpose } from './one-time-tokens-table.ts'
import type { Parts } from './parts.ts'
import { cardOf, type Person } from './person.ts'
import { canonicalEmail } from './rules.ts'
import type { SignedIn } from './sign-in.ts'
import { takenOr } from './users-table.ts'

/** Passwords and addresses after the registration: forgotten, reset, changed, confirmed, deleted. */
export function createRecovery({
  users,
  endings,
  tokens,
  consequences,
  audit,
  sessions,
  throttle,
  passwords,
  mails,
  clock,
  log,
  faults,
}: Parts & { consequences: Consequences }) {
  const now = () => new Date(clock.now())

  /** @throws AppError `validation-failed` */
  function addressOf(text: string): string {
    const email = canonicalEmail(text)
    if (email === null) throw new AppError('validation-failed', { faults: faults({ email: text }) })
    return email
  }

  /**
   * Sends somebody a link to reset their password, if there is such an account.
   *
   * Nothing tells which: for an unknown address a mail is queued as well, to nobody, and dropped when its turn comes.
   *
   * A person gets only so many of them an hour; what is over that is not sent, and not told.
   *
   * @throws AppError `validation-failed` for text that is no address
   */
  async function forgotPassword(emailText: string, client: Client): Promise<void> {
    const isWanted = (person: Person) => person.disabledAt === null
    const asked = await queueForAddress('reset-password', emailText, client, isWanted, (trx, userId) =>
      audit.record(trx, { event: 'password.reset_requested', actor: stranger(client), userId }),
    )
    if (asked) log('password.reset_requested', { ...(asked.person && { user_id: asked.person.id }) })
  }

  /** Sends the link that confirms an address once more, if there is such an account and it is not confirmed. */
  async function resendVerification(emailText: string, client: Client): Promise<void> {
    await queueForAddress('verify-email', emailText, client, (person) => person.emailVerifiedAt === null)
  }

  /** Queues a mail, to nobody if it is not wanted; null when a limit keeps it from being sent. */
  async function queueForAddress(
    kind: 'reset-password' | 'verify-email',
    emailText: string,
    client: Client,
    isWanted: (person: Person) => boolean,
    andAlso: (trx: Knex, userId: string | null) => Promise<void> = async () => undefined,
  ): Promise<{ person: Person | null } | null> {
    const email = addressOf(emailText)
    await throttle.mustSpend('mail-requests', { address: client.address })
    const person = await users.findByEmail(email)
    if (await throttle.spend('mails', person ? { userId: person.id } : { unknownName: email })) return null
    const userId = person && isWanted(person) ? person.id : v4()
    await users.alongside(async (trx) => {
      await mails.queue(trx, { kind, userId, address: email, facts: { at: now().toISOString() } })
      await andAlso(trx, person?.id ?? null)
    })
    return { person }
  }

  /**
   * Gives the holder of a reset token a new password, ends every session and voids every other one-time token.
   *
   * A new password that is refused leaves the token usable. Nobody is logged in.
   *
   * @throws AppError `invalid-reset-token`, `password-refused`; `too-many-attempts` in the place of the first
   */
  async function resetPassword(token: string, newPassword: string, client: Client): Promise<void> {
    const found = await tokens.find('password-reset', token, now())
    const person = found && (await users.findById(found.userId))
    if (!person || person.email !== found.email || person.disabledAt) {
      await throttle.mustSpend('wrong-tokens', { address: client.address })
      throw new AppError('invalid-reset-token')
    }
    mustBeAllowed(person, newPassword)
    const passwordHash = await passwords.hash(newPassword)
    await consequences.carryOut('password-reset', { person, by: owner(person.id, client) }, async (trx, at) => {
      const held = await users.lock(trx, person.id)
      const mayReset = held?.email === found.email && !held.disabledAt
      if (!mayReset || !(await tokens.spend(trx, 'password-reset', token, at)))
        throw new AppError('invalid-reset-token')
      await users.setPassword(trx, person.id, passwordHash, at)
      return users.confirmEmail(trx, person.id, found.email, at)
    })
    log('password.reset', { user_id: person.id })
  }

  /**
   * Changes the password of the caller: this session gets a new pair, all others end.
   *
   * Of two changes that name the same current password one succeeds.
   *
   * @throws AppError `wrong-password`, `too-many-attempts`, `password-refused`, `invalid-token`
   */
  async function changePassword(
    caller: Caller,
    { currentPassword, newPassword }: { currentPassword: string; newPassword: string },
  ): Promise<SignedIn> {
    const { userId, sessionId, client } = caller
    const by = owner(userId, client)
    const person = await provePassword(caller, currentPassword)
    mustBeAllowed(person, newPassword)
    const passwordHash = await passwords.hash(newPassword)
    const changed = await consequences.carryOut('password-change', { person, by, sessionId }, async (trx, at) => {
      await mustStandAsProven(trx, caller, person)
      return users.setPassword(trx, userId, passwordHash, at)
    })
    const replaced = await sessions.replacePair(userId, sessionId, {
      card: cardOf(changed),
      client,
      epoch: changed.sessionEpoch,
    })
    if (!replaced) throw new AppError('invalid-token', { reason: await sessions.reasonOf(sessionId) })
    log('password.changed', { user_id: userId })
    return { person: changed, ...replaced }
  }

  /**
   * Starts the change of an address: it is pending until the new one confirms.
   *
   * @throws AppError `wrong-password`, `too-many-attempts`, `validation-failed`, `email-taken`, `invalid-token`
   */
  async function changeEmail(caller: Caller, emailText: string, currentPassword: string): Promise<void> {
    const email = addressOf(emailText)
    const person = await provePassword(caller, currentPassword)
    if (email === person.email) return
    if (await users.findByEmail(email)) throw new AppError('email-taken')
    await users.alongside(async (trx) => {
      const at = now()
      await mustStandAsProven(trx, caller, person)
      await users.amend(trx, person.id, { pending_email: email }, at)
      const facts = { at: at.toISOString() }
      await mails.queue(trx, { kind: 'confirm-new-email', userId: person.id, address: email, facts })
      const actor = owner(person.id, caller.client)
      await audit.record(trx, { event: 'email.change_requested', actor, userId: person.id })
    })
  }

  /**
   * Confirms the address that a token was sent to; where that was a pending one, it takes the place of the old one.
   *
   * @throws AppError `invalid-token-link`, `too-many-attempts` in its place, `email-taken` when somebody else has it by now
   */
  async function verifyEmail(token: string, client: Client): Promise<Person> {
    const found = await tokens.find('email-verification', token, now())
    if (!found) {
      await throttle.mustSpend('wrong-tokens', { address: client.address })
      throw new AppError('invalid-token-link')
    }
    const confirmed = await takenOr(() =>
      users.alongside(async (trx) => {
        const at = now()
        const before = await users.lock(trx, found.userId)
        if (!before || !(await tokens.spend(trx, 'email-verification', token, at)))
          throw new AppError('invalid-token-link')
        const after = await users.confirmEmail(trx, found.userId, found.email, at)
        if (!after) throw new AppError('invalid-token-link')
        const by = owner(after.id, client)
        if (after.email !== before.email)
          await consequences.follow(trx, 'email-change', { person: before, by, facts: { newAddress: after.email } })
        else await audit.record(trx, { event: 'email.verified', actor: by, userId: after.id })
        return after
      }),
    )
    if (confirmed === 'email-taken' || confirmed === 'username-taken') throw new AppError('email-taken')
    await sessions.putCard(confirmed.id, cardOf(confirmed))
    log('email.verified', { user_id: confirmed.id })
    return confirmed
  }

  /**
   * Deletes the caller's account with everything that belongs to it.
   *
   * @throws AppError `wrong-password`, `too-many-attempts`, `invalid-token`, `last-admin`
   */
  async function remove(caller: Caller, currentPassword: string): Promise<void> {
    const person = await provePassword(caller, currentPassword)
    await consequences.carryOut('delete', { person, by: owner(person.id, caller.client) }, async (trx, at) => {
      mustNotBeLastAdmin(await users.lockWithAdmins(trx, [person.id]), person.id)
      await mustStandAsProven(trx, caller, person)
      await users.remove(trx, person.id)
      await endings.endForGood(trx, person.id, table.delete.reason, at)
      return null
    })
    log('account.deleted', { user_id: person.id })
  }

  /** Mints the token of a reset mail that is being sent; null when it is not wanted any more. */
  async function mintResetToken(mail: SentMail, lifeMs: number): Promise<string | null> {
    return mintIf('password-reset', mail, lifeMs, ({ email }) => email === mail.address)
  }

  /** Mints the token that confirms an address; null when it is neither the person's nor the one they want. */
  async function mintVerificationToken(mail: SentMail, lifeMs: number): Promise<string | null> {
    return mintIf(
      'email-verification',
      mail,
      lifeMs,
      ({ email, emailVerifiedAt, pendingEmail }) =>
        pendingEmail === mail.address || (email === mail.address && emailVerifiedAt === null),
    )
  }

  /** Asks whether a mail is still wanted, and mints its token, with nobody changing the person in between. */
  async function mintIf(
    purpose: Purpose,
    mail: SentMail,
    lifeMs: number,
    isWanted: (person: Person) => boolean,
  ): Promise<string | null> {
    return users.alongside(async (trx) => {
      const person = await users.lock(trx, mail.userId)
      if (!person || person.disabledAt || !isWanted(person)) return null
      return tokens.mint(trx, purpose, mail, lifeMs, now())
    })
  }

  /**
   * Makes sure that the caller knows their password; its wrong guesses count with those at the login.
   *
   * @returns the person as they were when they proved it
   * @throws AppError `wrong-password`, `too-many-attempts`, `invalid-token`
   */
  async function provePassword({ userId, client }: Caller, password: string): Promise<Person> {
    const person = await users.findById(userId)
    if (!person) throw new AppError('invalid-token', { reason: 'revoked' })
    const check = () => passwords.verify(person.passwordHash, password)
    if (await throttle.attempt('wrong-passwords', { userId }, check)) return person
    await audit.note({ event: 'password.proof_failed', actor: owner(userId, client), userId })
    throw new AppError('wrong-password')
  }

  /**
   * Locks the person, and makes sure that neither their password nor the caller's session went while it was checked.
   *
   * The epoch moves with every other password, and not when a login replaces the hash by another of the same one.
   *
   * @throws AppError `invalid-token`, `wrong-password`
   */
  async function mustStandAsProven(trx: Knex, { userId, sessionId }: Caller, person: Person): Promise<void> {
    const held = await users.lock(trx, userId)
    if (!(await sessions.find(userId, sessionId)))
      throw new AppError('invalid-token', { reason: await sessions.reasonOf(sessionId) })
    if (held?.sessionEpoch !== person.sessionEpoch) throw new AppError('wrong-password')
  }

  function mustBeAllowed({ email, username }: Person, newPassword: string): void {
    const found = faults({ email, username, password: newPassword })
      .filter(({ member }) => member === 'password')
      .map(({ detail }) => ({ member: 'newPassword', detail }))
    if (found.length > 0) throw new AppError('password-refused', { faults: found })
  }

  return {
    forgotPassword,
    resendVerification,
    resetPassword,
    changePassword,
    changeEmail,
    verifyEmail,
    remove,
    mintResetToken,
    mintVerificationToken,
  }
}

/** A mail whose link is being made. */
export interface SentMail {
  id: string
  userId: string
  address: string
  queuedAt: Date
}
