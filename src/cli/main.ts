import { Argument, Command, CommanderError, Option } from 'commander'
import { ConfigError, readConfig } from '../config.ts'
import { AppError, type ErrorCode } from '../errors.ts'
import { mailStatuses } from '../mail/index.ts'
import { createLog } from '../platform/log.ts'
import { createServices, type Services } from '../services.ts'
import { createClient, listClients, revokeClient } from './clients.ts'
import { exitCodeOf, usageExitCode } from './exit-codes.ts'
import { listMails, retryMail } from './mail.ts'
import { listSessions, revokeSession, revokeUser, showSession } from './sessions.ts'
import { changeSetting, getSetting, listSettings } from './settings.ts'
import { createUser, listUsers, setDisabled, setRole, showUser } from './users.ts'

/** The operator's command line: the same doors as HTTP, also while the API is down. */

const sentences: Partial<Record<ErrorCode, string>> = {
  'not-found': 'There is no such person, or no such session.',
  'email-taken': 'This e-mail address has an account already.',
  'username-taken': 'This username is taken.',
  'last-admin': 'This is the last admin. Make somebody else an admin first.',
}

/** Runs a command on the stores, by the settings that hold now, and leaves none of the connections open. */
async function withServices(command: (services: Services) => Promise<number>): Promise<void> {
  const services = createServices(readConfig(process.env), { log: createLog('silent') })
  try {
    await services.settings.reread()
    process.exitCode = await command(services)
  } finally {
    await services.close()
  }
}

const program = new Command('latchkey')
  .description('Look after a Latchkey service; the environment is that of the service.')
  .exitOverride()
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

const users = program.command('users').description('the people who have an account')
const whoever = 'their id, e-mail address or username'

users
  .command('create')
  .description('create an account; its owner gets a mail to choose a password')
  .requiredOption('--email <address>', 'where the mail goes')
  .option('--username <username>')
  .option('--name <name>')
  .option('--admin', 'with the role admin')
  .option(
    '--password-stdin',
    'take the password from standard input, or ask for it; then no link is sent to choose one',
  )
  .option('--json', 'as JSON')
  .action((options: Parameters<typeof createUser>[1]) =>
    withServices(({ accounts }) => createUser(accounts.administration, options)),
  )

users
  .command('list')
  .description('list people, newest first')
  .argument('[query]', 'an id, or what an e-mail address, a username or a name begins with')
  .option('--json', 'one JSON object a line')
  .action((query: string | undefined, options: Parameters<typeof listUsers>[2]) =>
    withServices(({ accounts }) => listUsers(accounts.administration, query, options)),
  )

users
  .command('show')
  .description('show one person')
  .argument('<user>', whoever)
  .option('--json', 'as JSON')
  .action((who: string, options: Parameters<typeof showUser>[2]) =>
    withServices(({ accounts }) => showUser(accounts.administration, who, options)),
  )

for (const [name, disabled, description] of [
  ['disable', true, 'disable an account: its sessions end, its links are void, nobody logs in'],
  ['enable', false, 'enable an account again; what had ended stays ended'],
] as const)
  users
    .command(name)
    .description(description)
    .argument('<user>', whoever)
    .option('--json', 'as JSON')
    .action((who: string, options: Parameters<typeof setDisabled>[3]) =>
      withServices(({ accounts }) => setDisabled(accounts.administration, who, disabled, options)),
    )

users
  .command('role')
  .description('give somebody another role')
  .argument('<user>', whoever)
  .addArgument(new Argument('<role>').choices(['user', 'admin']))
  .option('--json', 'as JSON')
  .action((who: string, role: Parameters<typeof setRole>[2], options: Parameters<typeof setRole>[3]) =>
    withServices(({ accounts }) => setRole(accounts.administration, who, role, options)),
  )

const sessions = program.command('sessions').description('the open sessions')

sessions
  .command('list')
  .description('list the open sessions of one person, newest first')
  .argument('<user>', whoever)
  .option('--json', 'one JSON object a line')
  .action((who: string, options: Parameters<typeof listSessions>[2]) =>
    withServices(({ accounts }) => listSessions(accounts.administration, who, options)),
  )

sessions
  .command('show')
  .description('show one open session; to find it by its id all of Redis is read')
  .argument('<session>', 'its id, or - for a token on standard input')
  .option('--json', 'as JSON')
  .action((id: string, options: Parameters<typeof showSession>[2]) =>
    withServices((services) => showSession(services.sessions, id, options)),
  )

sessions
  .command('revoke')
  .description('end one session')
  .argument('<session>', 'its id')
  .action((id: string) =>
    withServices((services) =>
      revokeSession({ sessions: services.sessions, administration: services.accounts.administration }, id),
    ),
  )

sessions
  .command('revoke-user')
  .description('end all sessions of one person')
  .argument('<user>', whoever)
  .action((who: string) => withServices(({ accounts }) => revokeUser(accounts.administration, who)))

const settings = program.command('settings').description('what may be changed while the service runs')

settings
  .command('list')
  .description('list all settings: what holds now, what held at the start, and what may be')
  .option('--json', 'one JSON object a line')
  .action((options: Parameters<typeof listSettings>[1]) =>
    withServices((services) => listSettings(services.settings, options)),
  )

settings
  .command('get')
  .description('print what holds now')
  .argument('<name>', 'as settings list shows it')
  .option('--json', 'with its bounds and meaning, and who changed it when')
  .action((name: string, options: Parameters<typeof getSetting>[2]) =>
    withServices((services) => getSetting(services.settings, name, options)),
  )

settings
  .command('set')
  .description('change a setting, on every instance within a second')
  .argument('<name>', 'as settings list shows it')
  .argument('<value>', 'a whole number, true or false')
  .action((name: string, value: string) => withServices((services) => changeSetting(services.settings, name, value)))

settings
  .command('unset')
  .description('go back to the start value')
  .argument('<name>', 'as settings list shows it')
  .action((name: string) => withServices((services) => changeSetting(services.settings, name, null)))
const clients = program.command('clients').description('the services that may ask about tokens')

clients
  .command('create')
  .description('create credentials; the secret is shown once')
  .requiredOption('--name <name>', 'what people call the service')
  .option('--json', 'one JSON object')
  .action((options: Parameters<typeof createClient>[1]) =>
    withServices((services) => createClient(services.clients, options)),
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
  .action((id: string) => withServices((services) => revokeClient(services.clients, id)))

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : usageExitCode
  else {
    console.error(sentenceFor(error))
    process.exitCode = error instanceof AppError ? exitCodeOf(error.code) : 1
  }
}

function sentenceFor(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  if (error instanceof AppError && error.code === 'unavailable')
    return 'PostgreSQL or Redis does not answer, or the migrations have not run. Try again later.'
  if (error instanceof AppError && error.faults)
    return error.faults.map(({ member, detail }) => `${member} ${detail}.`).join('\n')
  if (error instanceof AppError && error.code in sentences) return sentences[error.code]!
  return error instanceof Error ? `It did not work: ${error.message}` : 'It did not work.'
}
