import { AppError } from '../errors.ts'
import { canonicalLabel } from '../platform/label.ts'
import type { Session } from '../sessions/index.ts'
import { owner } from './actor.ts'
import type { Caller } from './ending.ts'
import type { Parts } from './parts.ts'
import { cardOf, type Person } from './person.ts'
import { mustBeFaultless } from './rules.ts'
import { takenOr } from './users-table.ts'

/** What people see and change of themselves and their sessions. */
export function createProfile({
  users,
  audit,
  sessions,
  clock,
  faults,
  changeEmail,
}: Parts & { changeEmail: (caller: Caller, email: string, currentPassword: string) => Promise<void> }) {
  /** @throws AppError `invalid-token` when the account is gone */
  async function me({ userId }: Pick<Caller, 'userId'>): Promise<Person> {
    const person = await users.findById(userId)
    if (!person) throw new AppError('invalid-token', { reason: 'revoked' })
    return person
  }

  /**
   * Changes username and name; a member that is missing stays, null clears. A new address becomes pending first.
   *
   * PostgreSQL commits first; then the card in Redis follows, so that gateways see the change with their next question.
   *
   * @throws AppError `validation-failed`, `username-taken`, `wrong-password`, `email-taken`, `invalid-token`
   */
  async function change(
    caller: Caller,
    written: {
      username?: string | null | undefined
      name?: string | null | undefined
      email?: string | undefined
      currentPassword?: string | undefined
      signInNotices?: boolean | undefined
    },
  ): Promise<Person> {
    mustBeFaultless(faults(written))
    const { username, name, email, currentPassword, signInNotices } = written
    if (email !== undefined) {
      if (currentPassword === undefined)
        throw new AppError('validation-failed', {
          faults: [{ member: 'currentPassword', detail: 'is required to change the e-mail address' }],
        })
      await changeEmail(caller, email, currentPassword)
    }
    if (username === undefined && name === undefined && signInNotices === undefined) return me(caller)
    const changes = {
      ...(username !== undefined && { username }),
      ...(name !== undefined && { name: canonicalLabel(name ?? '') }),
      ...(signInNotices !== undefined && { sign_in_notices: signInNotices }),
    }
    const person = await takenOr(() =>
      users.alongside(async (trx) => {
        await audit.record(trx, {
          event: 'account.changed',
          actor: owner(caller.userId, caller.client),
          userId: caller.userId,
          detail: { members: Object.keys(changes) },
        })
        return users.amend(trx, caller.userId, changes, new Date(clock.now()))
      }),
    )
    if (person === 'username-taken' || person === 'email-taken') throw new AppError(person)
    if (!person) throw new AppError('invalid-token', { reason: 'revoked' })
    await sessions.putCard(person.id, cardOf(person))
    return person
  }

  /** @throws AppError `not-found`, for foreign ids too */
  async function session({ userId }: Caller, sessionId: string): Promise<Session> {
    const found = await sessions.find(userId, sessionId)
    if (!found) throw new AppError('not-found')
    return found
  }

  /** @throws AppError `validation-failed`, `not-found` */
  async function renameSession({ userId }: Caller, sessionId: string, deviceName: string | null): Promise<Session> {
    mustBeFaultless(faults({ deviceName }))
    const renamed = await sessions.rename(userId, sessionId, canonicalLabel(deviceName ?? ''))
    if (!renamed) throw new AppError('not-found')
    return renamed
  }

  return { me, change, session, renameSession, sessions: ({ userId }: Caller) => sessions.list(userId) }
}
