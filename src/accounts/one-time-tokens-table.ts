import { randomBytes } from 'node:crypto'
import { digest } from '../platform/digest.ts'
import { deleteInBatches, fromPostgres, type Knex } from '../platform/postgres.ts'

/** What a one-time token is for; each purpose has a table of its own, so that no token passes for another. */
export type Purpose = 'password-reset' | 'email-verification'

const tables = {
  'password-reset': 'password_reset_tokens',
  'email-verification': 'email_verification_tokens',
} as const satisfies Record<Purpose, string>

const tokenBytes = 32
const form = /^[\w-]{43}$/

interface TokenRow {
  digest: string
  user_id: string
  email: string
  mail_id: string
  queued_at: Date
  expires_at: Date
  used_at: Date | null
  created_at: Date
}

/** A token that may still be spent: whose it is, and the address it was sent to. */
export interface OneTimeToken {
  userId: string
  email: string
}

export type OneTimeTokensTable = ReturnType<typeof createOneTimeTokensTable>

/**
 * The tokens that links in mails carry: 256 random bits, of which only the digest is kept.
 *
 * Spending one is a single guarded statement, so that of any number who try at once one succeeds (ASVS 6.5.1).
 */
export function createOneTimeTokensTable(knex: Knex) {
  const rows = (purpose: Purpose, within: Knex = knex) => within<TokenRow>(tables[purpose])

  /**
   * Mints the token of a mail that is being sent, and voids those of earlier mails: only the newest link works. Null when
   * a mail that was queued later has gone out already.
   *
   * Tokens of one mail stand beside each other, because a mail whose delivery was in doubt is sent again, and the
   * reader may open either copy. The person must be locked, so that two mails take turns.
   */
  async function mint(
    trx: Knex,
    purpose: Purpose,
    mail: { id: string; userId: string; address: string; queuedAt: Date },
    lifeMs: number,
    now: Date,
  ): Promise<string | null> {
    const ofPerson = () => rows(purpose, trx).where({ user_id: mail.userId })
    if (await ofPerson().where('queued_at', '>', mail.queuedAt).first('digest')) return null
    await ofPerson().where({ used_at: null }).whereNot({ mail_id: mail.id }).update({ used_at: now })
    const token = randomBytes(tokenBytes).toString('base64url')
    await rows(purpose, trx).insert({
      digest: digest(token),
      user_id: mail.userId,
      email: mail.address,
      mail_id: mail.id,
      queued_at: mail.queuedAt,
      expires_at: new Date(now.getTime() + lifeMs),
      created_at: now,
    })
    return token
  }

  /** Looks at a token without spending it; null when it cannot be spent, whatever the cause. */
  async function find(purpose: Purpose, token: string, now: Date): Promise<OneTimeToken | null> {
    if (!form.test(token)) return null
    const row = await fromPostgres(
      rows(purpose)
        .where({ digest: digest(token), used_at: null })
        .where('expires_at', '>', now)
        .first(),
    )
    return row ? { userId: row.user_id, email: row.email } : null
  }

  /** Spends a token, in a transaction with what it is spent for; false when somebody else was first. */
  async function spend(trx: Knex, purpose: Purpose, token: string, now: Date): Promise<boolean> {
    const spent = await rows(purpose, trx)
      .where({ digest: digest(token), used_at: null })
      .where('expires_at', '>', now)
      .update({ used_at: now })
    return spent === 1
  }

  /** Voids every one-time token of a person, in a transaction with what makes them void. */
  async function voidAll(trx: Knex, userId: string, now: Date): Promise<void> {
    for (const purpose of Object.keys(tables) as Purpose[])
      await rows(purpose, trx).where({ user_id: userId, used_at: null }).update({ used_at: now })
  }

  /** Removes what nobody can spend any more; returns how many tokens that were. */
  async function prune(now: Date): Promise<number> {
    let count = 0
    for (const table of Object.values(tables))
      count += await deleteInBatches(knex, table, (old) => old.where('expires_at', '<', now))
    return count
  }

  return { mint, find, spend, voidAll, prune }
}
