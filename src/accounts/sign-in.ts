import { v4 } from 'uuid'
import { AppError } from '../errors.ts'
import { digest } from '../platform/digest.ts'
import { canonicalLabel } from '../platform/label.ts'
import type { Client, Session, TokenPair } from '../sessions/index.ts'
import type { Subject } from '../throttle/index.ts'
import { owner, stranger, theService } from './actor.ts'
import { consequences } from './consequences.ts'
import type { Ending } from './ending.ts'
import type { Parts } from './parts.ts'
import type { Verify } from './passwords.ts'
import { cardOf, type Person } from './person.ts'
import { canonicalEmail, isUsername, mustBeFaultless } from './rules.ts'

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

/** Registering and logging in: the ways to a session that begin with a password. */
export function createSignIn({
  users,
  recordEndings,
  audit,
  sessions,
  throttle,
  passwords,
  mails,
  clock,
  log,
  registration,
  requireVerifiedEmail,
  sendsSignInNotices,
  faults,
}: Parts & { recordEndings: Ending['record'] }) {
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
    mustBeFaultless(faults(asked))
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
        await audit.record(trx, { event: 'account.registered', actor: owner(id, asked.client), userId: id })
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
    const known = await users.findByEmail(email)
    if (!known || (await throttle.spend('mails', { userId: known.id }))) return
    log('registration.refused', { user_id: known.id })
    await users.alongside((trx) =>
      mails.queue(trx, { kind: 'email-taken', userId: known.id, address: email, facts: { at: at.toISOString() } }),
    )
  }

  /**
   * Opens a session for the right password.
   *
   * One answer for every cause, after the same work: an unknown name, a wrong password, a disabled account.
   *
   * @throws AppError `invalid-credentials`; `email-unverified` after the right password only; `too-many-attempts` for the
   *   account, known or not, or the client's address; `unavailable`, before PostgreSQL is asked, when more are on their
   *   way than can be hashed
   */
  async function logIn(asked: Login): Promise<SignedIn> {
    mustBeFaultless(faults({ deviceName: asked.deviceName }))
    await passwords.mustHaveRoom()
    await throttle.mustSpend('logins', { address: asked.client.address }) // before the line: who may not log in takes no place
    const { person, maySignIn } = await passwords.beforeVerifying((verify) => checkPassword(asked, verify))
    if (!person || !maySignIn)
      throw await refusal(person, person?.disabledAt ? 'disabled' : 'wrong-password', asked.client)
    if (requireVerifiedEmail && !person.emailVerifiedAt) {
      await noteFailure(person, 'email-unverified', asked.client)
      throw new AppError('email-unverified')
    }
    const signedIn = await open(person, asked)
    await orTakeBack(signedIn.session, () => noteLogin(signedIn))
    if (passwords.isOutdated(person.passwordHash)) await renewHash(person, asked.password)
    log('login.succeeded', { user_id: person.id, session_id: signedIn.session.id })
    return signedIn
  }

  /** Who it is, if there is such an account, and whether the password is right and may be used. */
  async function checkPassword({ identifier, password }: Login, verify: Verify) {
    const person = await findPerson(identifier)
    const subject: Subject = person ? { userId: person.id } : { unknownName: identifier.text }
    const maySignIn = await throttle.attempt('wrong-passwords', subject, async () => {
      const right = await verify(person?.passwordHash ?? null, password)
      return right && !person?.disabledAt
    })
    return { person, maySignIn }
  }

  /** Writes a login down, and tells the person of a device that they have not used before, unless they do not want that. */
  async function noteLogin({ person, session }: SignedIn): Promise<void> {
    const at = new Date(clock.now())
    const facts = { at: at.toISOString(), deviceName: session.deviceName, networkAddress: session.client.address }
    await users.alongside(async (trx) => {
      await audit.record(trx, {
        event: 'login.succeeded',
        actor: owner(person.id, session.client),
        userId: person.id,
        sessionId: session.id,
      })
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
    try {
      const renewed = await users.renewHash(person.id, person.passwordHash, await passwords.hash(password))
      if (renewed) log('password.rehashed', { user_id: person.id })
    } catch (error) {
      log('password.rehash_failed', {
        user_id: person.id,
        code: error instanceof AppError ? error.code : 'internal-error',
      })
    }
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
    if (!isAsRead(before, person)) throw await refusal(person, 'epoch-moved', client)
    const { session, pair, removed } = await sessions.open({
      userId: person.id,
      epoch: person.sessionEpoch,
      card: cardOf(before),
      client,
      deviceName: canonicalLabel(deviceName ?? ''),
    })
    const now = await orTakeBack(session, async () => {
      const evicted = removed.filter(({ reason }) => reason === consequences.cap.reason)
      const rows = evicted.map(({ sessionId, reason }) => ({ sessionId, userId: person.id, reason, actorId: null }))
      if (rows.length > 0) await users.alongside((trx) => recordEndings(trx, rows, theService))
      for (const { sessionId, reason } of evicted)
        log('session.ended', { user_id: person.id, session_id: sessionId, reason })
      const found = await users.findById(person.id)
      const isStill = isAsRead(found, person)
      if (isStill && found.updatedAt > before.updatedAt) await sessions.putCard(found.id, cardOf(found))
      return isStill ? found : null
    })
    if (now) return { person: now, session, pair }
    await takeBack(session)
    throw await refusal(person, 'epoch-moved', client)
  }

  /** Does what belongs to the opening of a session; when it fails nobody gets the tokens, and the session goes again. */
  async function orTakeBack<T>(session: Session, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      await Promise.allSettled([takeBack(session)])
      throw error
    }
  }

  const takeBack = ({ userId, id }: Session) => sessions.end(userId, [id], 'revoked')

  async function refusal(person: Person | null, reason: LoginFailure, client: Client): Promise<AppError> {
    await noteFailure(person, person ? reason : 'unknown-account', client)
    return new AppError('invalid-credentials')
  }

  async function noteFailure(person: Person | null, reason: LoginFailure, client: Client): Promise<void> {
    log('login.failed', { reason, ...(person && { user_id: person.id }) })
    const userId = person?.id ?? null
    await audit.note({ event: 'login.failed', actor: stranger(client), userId, detail: { reason } })
  }

  return { register, logIn }
}

/** Why a login is refused; told to the log and the audit, never to the caller. */
type LoginFailure = 'unknown-account' | 'wrong-password' | 'disabled' | 'epoch-moved' | 'email-unverified'

/** What tells one device of a person from another: what it says it is. Kept as a digest. */
function deviceOf({ userAgent }: Client): string {
  return digest(userAgent ?? '')
}

/** Whether somebody may still sign in as the person they were when their password was read. */
function isAsRead(now: Person | null, person: Person): now is Person {
  return now !== null && !now.disabledAt && now.sessionEpoch === person.sessionEpoch
}
