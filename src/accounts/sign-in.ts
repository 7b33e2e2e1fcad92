import { v4 } from 'uuid'
import { AppError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { Mails } from '../mail/index.ts'
import { digest } from '../platform/digest.ts'
import type { Log } from '../platform/log.ts'
import type { Client, Session, Sessions, TokenPair } from '../sessions/index.ts'
import type { Subject, Throttle } from '../throttle/index.ts'
import type { EndingsTable } from './endings-table.ts'
import type { Passwords } from './passwords.ts'
import { cardOf, type Person } from './person.ts'
import { canonicalEmail, canonicalLabel, faultsOf, isUsername, type Written } from './rules.ts'
import type { UsersTable } from './users-table.ts'

/** An open session with its tokens and its person. */
export interface SignedIn {
  person: Person
  session: Session
  pair: TokenPair
}

export interface Registration {
  email: string
  password: string
  username?: string | null | undefined
  name?: string | null | undefined
  deviceName?: string | null | undefined
  client: Client
}

/** The name somebody gives at the door. `any` is taken for an e-mail address when it has an @. */
export interface Identifier {
  kind: 'email' | 'username' | 'any'
  text: string
}

export interface Login {
  identifier: Identifier
  password: string
  deviceName?: string | null | undefined
  client: Client
}

export interface SignInDeps {
  users: UsersTable
  endings: EndingsTable
  sessions: Sessions
  throttle: Throttle
  passwords: Passwords
  clock: Clock
  log: Log
  mails: Pick<Mails, 'queue'>
  registration: 'open' | 'closed'
  requireVerifiedEmail: boolean
  passwordMinLength: () => number
  /** Whether people are told of logins from new devices at all. */
  sendsSignInNotices: () => boolean
}

/** Registering and logging in: the ways to a session that begin with a password. */
export function createSignIn(deps: SignInDeps) {
  const {
    users,
    endings,
    sessions,
    throttle,
    passwords,
    clock,
    log,
    mails,
    registration,
    requireVerifiedEmail,
    passwordMinLength,
    sendsSignInNotices,
  } = deps

  /** Everything wrong with what somebody wrote about themselves. */
  function faults(written: Written) {
    return faultsOf(written, { passwordMinLength: passwordMinLength() })
  }

  /** @throws AppError `password-refused` when only the password is at fault, `validation-failed` for all else */
  function mustBeFaultless(written: Written): void {
    const found = faults(written)
    if (found.length === 0) return
    const onlyPassword = found.every(({ member }) => member === 'password')
    throw new AppError(onlyPassword ? 'password-refused' : 'validation-failed', { faults: found })
  }

  /**
   * Registers an account and opens its first session.
   *
   * Whether an address or a username is free is the database's word: of any number who ask at once, one gets it.
   *
   * Where addresses must be confirmed first, no session is opened, and nothing tells whether the address was free: the
   * owner of a taken one gets a mail instead. A username is asked for first, because it is told either way.
   *
   * @returns null where the address must be confirmed first
   * @throws AppError `registration-closed`, `validation-failed`, `password-refused`, `email-taken`, `username-taken`,
   *   `too-many-attempts` from the client's address
   */
  async function register(asked: Registration): Promise<SignedIn | null> {
    if (registration === 'closed') throw new AppError('registration-closed')
    mustBeFaultless(asked)
    await throttle.mustSpend('registrations', { address: asked.client.address })
    const passwordHash = await passwords.hash(asked.password)
    if (requireVerifiedEmail && asked.username != null && (await users.findByUsername(asked.username)))
      throw new AppError('username-taken')
    const [id, email, at] = [v4(), canonicalEmail(asked.email)!, new Date(clock.now())]
    const person = await users.insert(
      {
        id,
        email,
        username: asked.username ?? null,
        name: canonicalLabel(asked.name ?? ''),
        passwordHash,
      },
      at,
      async (trx) => {
        await users.noteDevice(trx, id, deviceOf(asked.client), at)
        await mails.queue(trx, { kind: 'verify-email', userId: id, address: email, facts: { at: at.toISOString() } })
      },
    )
    if (person === 'email-taken' && requireVerifiedEmail) {
      await tellOwner(email, at)
      return null
    }
    if (person === 'email-taken' || person === 'username-taken') throw new AppError(person)
    log('account.registered', { user_id: person.id })
    if (requireVerifiedEmail) return null
    return open(person, asked)
  }

  /** Tells the owner of an address that somebody tried to register with it. */
  async function tellOwner(email: string, at: Date): Promise<void> {
    const owner = await users.findByEmail(email)
    if (!owner || (await throttle.spend('mails', { userId: owner.id }))) return
    log('registration.refused', { user_id: owner.id })
    await users.alongside((trx) =>
      mails.queue(trx, { kind: 'email-taken', userId: owner.id, address: email, facts: { at: at.toISOString() } }),
    )
  }

  /**
   * Opens a session for the right password.
   *
   * One answer for every cause, after the same work: an unknown name, a wrong password, a disabled account.
   *
   * @throws AppError `invalid-credentials`; `email-unverified` after the right password only; `too-many-attempts` for the
   *   account, known or not, or the client's address
   */
  async function logIn(asked: Login): Promise<SignedIn> {
    mustBeFaultless({ deviceName: asked.deviceName })
    await throttle.mustSpend('logins', { address: asked.client.address })
    const person = await findPerson(asked.identifier)
    const subject: Subject = person ? { userId: person.id } : { unknownName: asked.identifier.text }
    const maySignIn = await throttle.attempt('wrong-passwords', subject, async () => {
      const right = await passwords.verify(person?.passwordHash ?? null, asked.password)
      return right && !person?.disabledAt
    })
    if (!person || !maySignIn) throw refusal(person, person?.disabledAt ? 'disabled' : 'wrong-password')
    if (requireVerifiedEmail && !person.emailVerifiedAt) throw new AppError('email-unverified')
    const signedIn = await open(person, asked)
    await noticeDevice(signedIn)
    if (passwords.isOutdated(person.passwordHash)) await renewHash(person, asked.password)
    log('login.succeeded', { user_id: person.id, session_id: signedIn.session.id })
    return signedIn
  }

  /** Tells somebody of a login from a device that they have not used before, unless they do not want to know. */
  async function noticeDevice({ person, session }: SignedIn): Promise<void> {
    const at = new Date(clock.now())
    const facts = { at: at.toISOString(), deviceName: session.deviceName, networkAddress: session.client.address }
    await users.alongside(async (trx) => {
      const isNew = await users.noteDevice(trx, person.id, deviceOf(session.client), at)
      if (isNew && person.signInNotices && sendsSignInNotices())
        await mails.queue(trx, { kind: 'new-device', userId: person.id, address: person.email, facts })
    })
  }

  /**
   * Replaces a hash that was cheaper or of another kind by one of today's, now that the password is at hand.
   *
   * On condition that it still is the hash that was verified; and whatever comes of it, the login has succeeded.
   */
  async function renewHash(person: Person, password: string): Promise<void> {
    await Promise.allSettled([
      passwords.hash(password).then((hash) => users.renewHash(person.id, person.passwordHash, hash)),
    ])
  }

  async function findPerson({ kind, text }: Identifier): Promise<Person | null> {
    if (kind === 'email' || (kind === 'any' && text.includes('@'))) {
      const email = canonicalEmail(text)
      return email === null ? null : users.findByEmail(email)
    }
    return isUsername(text) ? users.findByUsername(text) : null
  }

  /**
   * Opens a session for a person as they were read.
   *
   * What was read may be old by now: while the password was checked, it may have been reset or everything logged out.
   * So the epoch is read again once the session stands, and a session that came too late is taken back. Whoever moves
   * the epoch does so before clearing the set; one of the two always sees the other. It is read once before as well: with
   * PostgreSQL away, no other session makes room for one that then cannot be opened.
   */
  async function open(
    person: Person,
    { deviceName, client }: { deviceName?: string | null | undefined; client: Client },
  ): Promise<SignedIn> {
    const before = await users.findById(person.id)
    if (!isAsRead(before, person)) throw refusal(person, 'epoch-moved')
    const { session, pair, removed } = await sessions.open({
      userId: person.id,
      epoch: person.sessionEpoch,
      card: cardOf(before),
      client,
      deviceName: canonicalLabel(deviceName ?? ''),
    })
    const takeBack = () => sessions.end(person.id, [session.id], 'revoked')
    try {
      const evicted = removed.filter(({ reason }) => reason === 'evicted')
      await endings.record(
        evicted.map(({ sessionId, reason }) => ({ sessionId, userId: person.id, reason, actorId: null })),
        new Date(clock.now()),
      )
      for (const { sessionId, reason } of evicted)
        log('session.ended', { user_id: person.id, session_id: sessionId, reason })
      const now = await users.findById(person.id)
      if (isAsRead(now, person)) {
        if (now.updatedAt > before.updatedAt) await sessions.putCard(now.id, cardOf(now))
        return { person: now, session, pair }
      }
    } catch (error) {
      await Promise.allSettled([takeBack()])
      throw error
    }
    await takeBack()
    throw refusal(person, 'epoch-moved')
  }

  function refusal(person: Person | null, reason: 'wrong-password' | 'disabled' | 'epoch-moved'): AppError {
    log('login.failed', { reason: person ? reason : 'unknown-account', ...(person && { user_id: person.id }) })
    return new AppError('invalid-credentials')
  }

  return { faults, mustBeFaultless, register, logIn }
}

/** What tells one device of a person from another: what it says it is. Kept as a digest. */
function deviceOf({ userAgent }: Client): string {
  return digest(userAgent ?? '')
}

/** Whether somebody may still sign in as the person they were when their password was read. */
function isAsRead(now: Person | null, person: Person): now is Person {
  return now !== null && !now.disabledAt && now.sessionEpoch === person.sessionEpoch
}
