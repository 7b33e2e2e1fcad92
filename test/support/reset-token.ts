import { randomBytes, randomUUID } from 'node:crypto'
import type { Knex } from 'knex'
import { digest } from '../../src/platform/digest.ts'
import type { Someone } from './people.ts'

/** What a link in a mail would carry, for tests that are not about mails and need hundreds. */
export async function plantResetToken(knex: Knex, { id, email }: Someone): Promise<string> {
  const token = randomBytes(32).toString('base64url')
  const now = new Date()
  await knex('password_reset_tokens').insert({
    digest: digest(token),
    user_id: id,
    email,
    mail_id: randomUUID(),
    queued_at: now,
    expires_at: new Date(now.getTime() + 600_000),
    created_at: now,
  })
  return token
}
