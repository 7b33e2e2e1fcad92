import type { Task } from '../platform/jobs.ts'
import type { Log } from '../platform/log.ts'
import { backOffMs } from './back-off.ts'
import { needsLink, writeLetter, type MailKind } from './letters.ts'
import type { Claimed, Mail, MailsTable } from './mails-table.ts'
import { createOutage } from './outage.ts'
import type { createSmtp, Verdict } from './smtp.ts'

/** What makes the link of a mail, with the token in it; null when the mail is not wanted any more. */
export type Links = Partial<Record<MailKind, (mail: Mail) => Promise<{ url: string } | null>>>

/**
 * The way of one mail from the queue to the mail server.
 *
 * It arrives at least once. Twice it may arrive when the process is killed, or the connection breaks, after the server
 * has taken it and before that is written down; both then have the same Message-ID.
 */
export function createDelivery({
  mails,
  send,
  product,
  links,
  log,
}: {
  mails: MailsTable
  send: ReturnType<typeof createSmtp>
  product: string
  links: Links
  log: Log
}) {
  const outage = createOutage()

  /** Sends a claimed mail, unless it is not wanted any more. */
  async function attempt(mail: Claimed): Promise<Verdict | { kind: 'dropped' }> {
    const { id, kind, userId, address, facts } = mail
    let link: { url: string } | null | undefined
    try {
      link = await links[kind]?.({ id, kind, userId, address, facts })
    } catch (error) {
      return { kind: 'later', reason: `no link: ${(error as Error).name}` }
    }
    if (link === null) return { kind: 'dropped' }
    if (!link && needsLink(kind)) return { kind: 'refused', reason: 'no link' }
    const letter = writeLetter(kind, { product, facts, url: link?.url })
    const verdict = await send({ to: address, messageId: mail.messageId, letter })
    if (verdict.kind === 'unreachable') outage.began()
    else outage.ended()
    return verdict
  }

  /** Takes the mail of a job on, sends it, and writes down what became of it. */
  const task: Task = async ({ id }, signal) => {
    const mailId = id as string
    await outage.pass(signal)
    const mail = signal.aborted ? null : await mails.claim(mailId)
    if (!mail) return mails.remind(mailId)
    const fields = { mail_id: mailId, kind: mail.kind, user_id: mail.userId }

    const verdict = await beforeStopping(attempt(mail), signal)
    if (verdict === null) return // the claim runs out, and the mail is sent again
    if (verdict.kind === 'sent' || verdict.kind === 'dropped') {
      await mails.settle(mailId, verdict.kind, null)
      log(verdict.kind === 'sent' ? 'mail.sent' : 'mail.dropped', fields)
    } else if (verdict.kind === 'refused' || mail.late) {
      await mails.settle(mailId, 'failed', verdict.reason)
      log('mail.failed', { ...fields, reason: verdict.reason })
    } else {
      await mails.postpone(mailId, verdict.reason, backOffMs(mail.attempts))
      log('mail.retried', { ...fields, reason: verdict.reason })
    }
  }

  return { task, interrupted: outage.lasts }
}

/** How long a mail has that is on its way when the process stops; most need a fraction of that. */
const stopGraceMs = 2000

/** What comes of it, or null when the process stops and it takes too long. */
async function beforeStopping<T>(outcome: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const settled = new AbortController()
  const tooLate = new Promise<null>((resolve) => {
    signal.addEventListener('abort', () => setTimeout(resolve, stopGraceMs, null), {
      once: true,
      signal: settled.signal,
    })
  })
  return Promise.race([outcome, tooLate]).finally(() => settled.abort())
}
