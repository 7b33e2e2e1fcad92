import { Command, Option } from 'commander'
import type { Actor } from '../audit/index.ts'
import { ConfigError, readConfig } from '../config.ts'
import { AppError } from '../errors.ts'
import { mailStatuses } from '../mail/index.ts'
import { createLog } from '../platform/log.ts'
import { createServices, type Services } from '../services.ts'
import { createClient, listClients, revokeClient } from './clients.ts'
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

/** Whoever has a shell and the environment of the service; who that is, the service cannot tell. */
const operator: Actor = { kind: 'operator', id: null, address: null, userAgent: null }

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

const clients = program.command('clients').description('the services that may ask about tokens')

clients
  .command('create')
  .description('create credentials; the secret is shown once')
  .requiredOption('--name <name>', 'what people call the service')
  .option('--json', 'one JSON object')
  .action((options: Parameters<typeof createClient>[2]) =>
    withServices((services) => createClient(services.clients, operator, options)),
  )

clients
  .command('list')
  .description('list clients, newest first')
  .option('--json', 'one JSON object a line')
  .action((options: Parameters<typeof listClients>[1]) =>
    withServices((services) => listClients(services.clients, options)),
  )

clients
  .command('revoke')
  .description('revoke the credentials of a client, at once and for good')
  .argument('<id>', 'as clients list shows it')
  .action((id: string) => withServices((services) => revokeClient(services.clients, operator, id)))

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
