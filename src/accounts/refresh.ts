import { AppError } from '../errors.ts'
import type { Client, EndReason, Session } from '../sessions/index.ts'
import { stranger } from './actor.ts'
import type { Caller, Ending } from './ending.ts'
import type { Parts } from './parts.ts'
import { cardOf, type Person } from './person.ts'
import type { SignedIn } from './sign-in.ts'

/** New tokens for a session that is open already. PostgreSQL is asked first: Redis may have forgotten an ending. */
export function createRefresh({
  users,
  sessions,
  throttle,
  log,
  end,
  confirmEnding,
}: Parts & Pick<Ending, 'end' | 'confirmEnding'>) {
  /**
   * Spends a refresh token for a new pair, or hands the same pair to a retry within the grace window.
   *
   * A token that is not known costs the client's address a point. A good one costs none and is let through whatever was
   * spent, so whoever guesses keeps nobody else at their address out.
   *
   * @throws AppError `invalid-refresh-token` with the reason `unknown`, `expired`, `ended` or `reused`;
   *   `too-many-attempts` in the place of `unknown`
   */
  async function refresh(refreshToken: string, client: Client): Promise<SignedIn & { replayed: boolean }> {
    const presented = await sessions.present(refreshToken)
    if (presented.kind === 'unknown') {
      await throttle.mustSpend('wrong-tokens', { address: client.address })
      throw new AppError('invalid-refresh-token', { reason: 'unknown' })
    }
    if (presented.kind === 'ended') {
      if (presented.reason === 'reused') await confirmEnding(presented)
      throw ended(presented.reason)
    }
    if (presented.kind === 'reused') return endReused(presented.session, client)

    const { held } = presented
    const person = await personInGoodStanding(held.session)
    const outcome = await sessions.refresh(held, { card: cardOf(person), client })
    if (outcome.kind === 'ended') throw ended(outcome.reason)
    if (outcome.kind === 'reused') return endReused(outcome.session, client)
    const { session, pair, kind } = outcome
    log(kind === 'replayed' ? 'session.refresh_replayed' : 'session.refreshed', {
      user_id: session.userId,
      session_id: session.id,
    })
    return { person, session, pair, replayed: kind === 'replayed' }
  }

  /**
   * Gives the caller's session a new pair; the old one is dead at once.
   *
   * @throws AppError `invalid-token` when the session has ended meanwhile
   */
  async function replacePair({ userId, sessionId, client }: Caller): Promise<SignedIn> {
    const found = await sessions.find(userId, sessionId)
    if (!found) throw new AppError('invalid-token', { reason: await sessions.reasonOf(sessionId) })
    const person = await personInGoodStanding(found, 'invalid-token')
    const replaced = await sessions.replacePair(userId, sessionId, { card: cardOf(person), client })
    if (!replaced) throw new AppError('invalid-token', { reason: await sessions.reasonOf(sessionId) })
    return { person, ...replaced }
  }

  /** The person of a session that PostgreSQL does not know to have ended; else it ends in Redis too. */
  async function personInGoodStanding(
    session: Session,
    code: 'invalid-token' | 'invalid-refresh-token' = 'invalid-refresh-token',
  ): Promise<Person> {
    const standing = await users.standing(session)
    if (standing.kind === 'good') return standing.person
    await sessions.end(session.userId, [session.id], standing.reason)
    throw code === 'invalid-token' ? new AppError(code, { reason: standing.reason }) : ended(standing.reason)
  }

  /** Ends the session, and lets the owner know: somebody else may hold a token of theirs. Asked again, it is confirmed. */
  async function endReused(session: Session, client: Client): Promise<never> {
    const by = stranger(client)
    await end('reuse', session.userId, [session.id], by, session.deviceName)
    log('session.refresh_reused', { user_id: session.userId, session_id: session.id })
    throw ended('reused')
  }

  return { refresh, replacePair }
}

function ended(reason: EndReason): AppError {
  if (reason === 'expired' || reason === 'idle') return new AppError('invalid-refresh-token', { reason: 'expired' })
  return new AppError('invalid-refresh-token', { reason: reason === 'reused' ? 'reused' : 'ended' })
}
