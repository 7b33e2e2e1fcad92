import type { Services } from './route.ts'

/** What gateways and services are told of the person behind a token. */
export interface Identity {
  username: string | null
  email: string
  verified: boolean
  role: string
}

/**
 * Asks PostgreSQL who somebody is: where the card beside the sessions, which the token check has read already, was lost or
 * damaged by hand. It is not guessed at, until the next refresh has put a new one there.
 *
 * @throws AppError `invalid-token` when the account is gone, `unavailable`
 */
export async function identityOf(person: { userId: string }, { accounts }: Services): Promise<Identity> {
  const { username, email, emailVerifiedAt, role } = await accounts.me(person)
  return { username, email, verified: emailVerifiedAt !== null, role }
}
