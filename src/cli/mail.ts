import type { MailRecord, Mails, MailStatus } from '../mail/index.ts'
import { printTable } from './table.ts'

/** `mail list`: all of them, however many pages that takes. */
export async function listMails(
  mails: Mails,
  { status, json }: { status?: MailStatus; json?: boolean },
): Promise<number> {
  const rows: string[][] = []
  let cursor: string | null | undefined
  do {
    const { items, nextCursor } = await mails.list({ status, cursor: cursor ?? undefined })
    for (const item of items)
      if (json) console.log(JSON.stringify(asJson(item)))
      else rows.push(asRow(item))
    cursor = nextCursor
  } while (cursor !== null)
  if (!json) printTable(['ID', 'KIND', 'TO', 'STATUS', 'TRIES', 'QUEUED', 'LAST ERROR'], rows)
  return 0
}

/** `mail retry`: the exit code tells whether it is queued now. */
export async function retryMail(mails: Mails, id: string): Promise<number> {
  const verdict = await mails.retry(id)
  if (verdict === 'requeued') {
    console.log('The mail is queued again.')
    return 0
  }
  console.error(
    verdict === 'not-found' ? 'There is no mail with this id.' : 'This mail has not failed, so it is not sent again.',
  )
  return 1
}

function asRow({ id, kind, address, status, attempts, createdAt, lastError }: MailRecord): string[] {
  return [id, kind, address, status, String(attempts), createdAt.toISOString(), lastError ?? '']
}

function asJson({ id, kind, userId, address, status, attempts, lastError, createdAt, sentAt }: MailRecord) {
  return {
    id,
    kind,
    user_id: userId,
    address,
    status,
    attempts,
    last_error: lastError,
    created_at: createdAt.toISOString(),
    sent_at: sentAt?.toISOString() ?? null,
  }
}
