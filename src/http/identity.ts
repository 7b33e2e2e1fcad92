import type { Bearer, Services } from './route.ts'

/** What gateways and services are told of the person behind a token. */
export interface Identity {
  username: string | null
  email: string
  verified: boolean
  role: string
}

/**
 * Says who the caller is: from the card beside the session, which the token check has read already.
 *
 * A card that was lost or damaged by hand is not guessed at: then PostgreSQL is asked, until the next refresh has put a
 * new one there.
 *
 * @throws AppError `invalid-token` when the account is gone, `unavailable`
 */
export async function identityOf(caller: Pick<Bearer, 'userId' | 'card'>, { accounts }: Services): Promise<Identity> {
  if (caller.card) return caller.card
  const { username, email, emailVerifiedAt, role } = await accounts.me(caller)
  return { username, email, verified: emailVerifiedAt !== null, role }
}
