import { Option, type Command } from 'commander'
import { mailStatuses, type MailRecord, type Mails, type MailStatus } from '../mail/index.ts'
import { examples, type Context } from './context.ts'
import { printTable } from './table.ts'

export function addMailCommands(program: Command, { withServices }: Context): void {
  const mail = program.command('mail').description('the mails that were queued')

  mail
    .command('list')
    .description('list mails, newest first')
    .addOption(new Option('--status <status>', 'only those').choices(mailStatuses))
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      examples(['mail list --status failed', 'what did not arrive'], ['mail list --json', 'for scripts']),
    )
    .action((options: Parameters<typeof listMails>[1]) => withServices(({ mail: mails }) => listMails(mails, options)))

  mail
    .command('retry')
    .description('queue a failed mail once more')
    .argument('<id>', 'as mail list shows it')
    .addHelpText('after', examples(['mail retry 01a1fc74-28b6-7209-8e66-4d80c250331d', 'tries it for 24 hours more']))
    .action((id: string) => withServices(({ mail: mails }) => retryMail(mails, id)))
}

/** `mail list`: all of them, however many pages that takes. */
async function listMails(mails: Mails, { status, json }: { status?: MailStatus; json?: boolean }): Promise<number> {
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
async function retryMail(mails: Mails, id: string): Promise<number> {
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
