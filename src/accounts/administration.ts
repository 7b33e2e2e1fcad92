import type { Actor } from '../audit/index.ts'
import { AppError } from '../errors.ts'
import type { Consequences } from './consequences.ts'
import type { Parts } from './parts.ts'
import { cardOf, type Person } from './person.ts'

/** What is done to people's accounts by somebody else; who may do it is not decided here. */
export function createAdministration({
  users,
  consequences,
  sessions,
  audit,
  clock,
  log,
}: Parts & { consequences: Consequences }) {
  /**
   * Disables an account: every session ends, no link in a mail works any more, and nobody logs in.
   *
   * Repeating it is harmless, and confirms what a store that was away had not.
   *
   * @throws AppError `not-found`; `unavailable`, and with Redis away nothing has changed
   */
  async function disable(userId: string, by: Actor): Promise<Person> {
    const person = await personOf(userId)
    const disabled = await consequences.carryOut('disable', { person, by }, async (trx, at) => {
      const held = await users.lock(trx, userId)
      return found(await users.amend(trx, userId, { disabled_at: held?.disabledAt ?? at, pending_email: null }, at))
    })
    log('account.disabled', { user_id: userId })
    return disabled
  }

  /**
   * Enables an account again. What ended when it was disabled stays ended.
   *
   * @throws AppError `not-found`, `unavailable`
   */
  async function enable(userId: string, by: Actor): Promise<Person> {
    const enabled = await users.alongside(async (trx) => {
      await audit.record(trx, { event: 'account.enabled', actor: by, userId })
      return found(await users.amend(trx, userId, { disabled_at: null }, new Date(clock.now())))
    })
    log('account.enabled', { user_id: userId })
    return enabled
  }

  /**
   * Gives somebody another role. PostgreSQL commits first; then the card in Redis follows, so that gateways see the role
   * with their next question.
   *
   * @throws AppError `not-found`; `unavailable` when not both stores have confirmed, and repeating it is harmless
   */
  async function changeRole(userId: string, role: Person['role'], by: Actor): Promise<Person> {
    const person = await personOf(userId)
    const changed = await consequences.carryOut(
      'role-change',
      { person, by, detail: { from: person.role, to: role } },
      async (trx, at) => found(await users.amend(trx, userId, { role }, at)),
    )
    await sessions.putCard(userId, cardOf(changed))
    log('account.role_changed', { user_id: userId })
    return changed
  }

  const personOf = async (userId: string) => found(await users.findById(userId))

  return { disable, enable, changeRole }
}

function found(person: Person | null): Person {
  if (!person) throw new AppError('not-found')
  return person
}
