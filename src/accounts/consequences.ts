import type { Actor, AuditEntry, AuditEventName } from '../audit/index.ts'
import type { MailFacts, MailKind } from '../mail/index.ts'
import type { Knex } from '../platform/postgres.ts'
import type { EndReason, Session } from '../sessions/index.ts'
import type { Parts } from './parts.ts'
import type { Person } from './person.ts'

/** What an event does. "This session" is the one it came with, or that it names. */
interface Consequence {
  thisSession: 'ends' | 'stays' | 'new-pair'
  otherSessions: 'end' | 'stay' | 'longest-unused-ends'
  /** The links in mails that were sent before and not used yet. */
  oneTimeTokens: 'void' | 'stay'
  /** The mail that tells the owner. */
  notice: MailKind | null
  /** Why sessions end, as their bearers are told; null where none does. */
  reason: EndReason | null
  /** What the audit calls it; null where no event of its own is kept. */
  audit: AuditEventName | null
}

const nothing = {
  thisSession: 'stays',
  otherSessions: 'stay',
  oneTimeTokens: 'stay',
  notice: null,
  reason: null,
  audit: null,
} as const

/** What ends what: the one place where it is said. The README shows the same table. */
export const consequences = {
  logout: { ...nothing, thisSession: 'ends', reason: 'logged-out', audit: 'session.ended' },
  'logout-all': {
    ...nothing,
    thisSession: 'ends',
    otherSessions: 'end',
    reason: 'logged-out-everywhere',
    audit: 'sessions.ended',
  },
  'revoke-one': { ...nothing, thisSession: 'ends', reason: 'revoked', audit: 'session.ended' },
  'revoke-others': { ...nothing, otherSessions: 'end', reason: 'revoked', audit: 'session.ended' },
  'revoke-all': { ...nothing, thisSession: 'ends', otherSessions: 'end', reason: 'revoked', audit: 'sessions.ended' },
  'new-tokens': { ...nothing, thisSession: 'new-pair' },
  'password-change': {
    thisSession: 'new-pair',
    otherSessions: 'end',
    oneTimeTokens: 'void',
    notice: 'password-changed',
    reason: 'password-changed',
    audit: 'password.changed',
  },
  'password-reset': {
    thisSession: 'ends',
    otherSessions: 'end',
    oneTimeTokens: 'void',
    notice: 'password-reset',
    reason: 'password-reset',
    audit: 'password.reset',
  },
  'email-change': { ...nothing, oneTimeTokens: 'void', notice: 'email-changed', audit: 'email.changed' },
  disable: {
    thisSession: 'ends',
    otherSessions: 'end',
    oneTimeTokens: 'void',
    notice: null,
    reason: 'disabled',
    audit: 'account.disabled',
  },
  delete: {
    thisSession: 'ends',
    otherSessions: 'end',
    oneTimeTokens: 'void',
    notice: null,
    reason: 'revoked',
    audit: 'account.deleted',
  },
  'role-change': { ...nothing, audit: 'role.changed' },
  reuse: {
    ...nothing,
    thisSession: 'ends',
    notice: 'refresh-token-reused',
    reason: 'reused',
    audit: 'session.refresh_reused',
  },
  cap: { ...nothing, otherSessions: 'longest-unused-ends', reason: 'evicted', audit: 'session.ended' },
} as const satisfies Record<string, Consequence>

export type AccountEvent = keyof typeof consequences

/** Whom an event is about, as they were before it, and the session that it came with. */
export interface Affected {
  person: Pick<Person, 'id' | 'email'>
  /** Who made it happen. */
  by: Actor
  sessionId?: string
  /** What the notice tells besides the time. */
  facts?: MailFacts
  /** What the audit keeps besides. */
  detail?: AuditEntry['detail']
}

export type Consequences = ReturnType<typeof createConsequences>

/** Carries out what the table says. */
export function createConsequences({ users, endings, tokens, sessions, mails, audit, clock, log }: Parts) {
  /** Does the part of an event that is PostgreSQL's, in the transaction of its cause; returns the epoch if it moved. */
  async function follow(
    trx: Knex,
    event: AccountEvent,
    { person: { id, email }, by, sessionId, facts, detail }: Affected,
  ): Promise<number | undefined> {
    const { otherSessions, oneTimeTokens, notice, reason, audit: name } = consequences[event]
    const at = new Date(clock.now())
    if (oneTimeTokens === 'void') await tokens.voidAll(trx, id, at)
    if (notice)
      await mails.queue(trx, { kind: notice, userId: id, address: email, facts: { at: at.toISOString(), ...facts } })
    if (name)
      await audit.record(trx, {
        event: name,
        actor: by,
        userId: id,
        ...(sessionId !== undefined && { sessionId }),
        ...(detail && { detail }),
      })
    return otherSessions === 'end' ? endings.moveEpoch(trx, id, reason, at) : undefined
  }

  /** Ends a person's sessions in Redis, all or all others, if the event does that; returns those that were open. */
  async function endSessions(event: AccountEvent, userId: string, sparedId: string = ''): Promise<Session[]> {
    const { thisSession, otherSessions, reason } = consequences[event]
    if (otherSessions !== 'end') return []
    return thisSession === 'ends' ? sessions.endAll(userId, reason) : sessions.endOthers(userId, sparedId, reason)
  }

  /**
   * Makes a change of a person together with all that follows from it, in one transaction in PostgreSQL.
   *
   * The sessions are ended in Redis last before it commits, so that with Redis away nothing has changed; and again after
   * it has, for those that were opened in between. What has ended is told to the log whatever becomes of the rest.
   *
   * @returns what the change returned, with the epoch as it is now
   */
  async function carryOut<T extends Person | null>(
    event: AccountEvent,
    affected: Affected,
    change: (trx: Knex, at: Date) => Promise<T>,
  ): Promise<T> {
    const { person, sessionId } = affected
    const { reason } = consequences[event]
    let count = 0
    const end = async () => {
      count += (await endSessions(event, person.id, sessionId)).length
    }
    try {
      const after = await users.alongside(async (trx) => {
        const changed = await change(trx, new Date(clock.now()))
        const sessionEpoch = await follow(trx, event, affected)
        await end()
        return changed && sessionEpoch !== undefined ? { ...changed, sessionEpoch } : changed
      })
      await end()
      return after
    } finally {
      if (reason && count > 0) log('sessions.ended', { user_id: person.id, count, reason })
    }
  }

  return { follow, endSessions, carryOut }
}
