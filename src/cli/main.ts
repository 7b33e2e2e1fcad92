import { Command, Option } from 'commander'
import { ConfigError, readConfig } from '../config.ts'
import { AppError } from '../errors.ts'
import { mailStatuses } from '../mail/index.ts'
import { createLog } from '../platform/log.ts'
import { createServices, type Services } from '../services.ts'
import { listMails, retryMail } from './mail.ts'

/** The operator's command line: the same doors as HTTP, also while the API is down. */

/** Runs a command on the stores, and leaves none of the connections open. */
async function withServices(command: (services: Services) => Promise<number>): Promise<void> {
  const services = createServices(readConfig(process.env), { log: createLog('silent') })
  try {
    process.exitCode = await command(services)
  } finally {
    await services.close()
  }
}

const program = new Command('latchkey').description(
  'Look after a Latchkey service; the environment is that of the service.',
)
const mail = program.command('mail').description('the mails that were queued')

mail
  .command('list')
  .description('list mails, newest first')
  .addOption(new Option('--status <status>', 'only those').choices(mailStatuses))
  .option('--json', 'one JSON object a line')
  .action((options: Parameters<typeof listMails>[1]) => withServices(({ mail: mails }) => listMails(mails, options)))

mail
  .command('retry')
  .description('queue a failed mail once more')
  .argument('<id>', 'as mail list shows it')
  .action((id: string) => withServices(({ mail: mails }) => retryMail(mails, id)))

try {
  await program.parseAsync()
} catch (error) {
  console.error(sentenceFor(error))
  process.exitCode = 1
}

function sentenceFor(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  if (error instanceof AppError && error.code === 'unavailable')
    return 'PostgreSQL does not answer, or has not been migrated yet. Try again when it does.'
  return error instanceof Error ? `It did not work: ${error.message}` : 'It did not work.'
}
