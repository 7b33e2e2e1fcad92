import { Argument, type Command } from 'commander'
import type { Accounts, Person } from '../accounts/index.ts'
import { examples, type Context } from './context.ts'
import { operator } from './operator.ts'
import { readSecret } from './secret.ts'
import { printTable } from './table.ts'

type Administration = Accounts['administration']

interface Printing {
  json?: boolean
}

/** How a person is named on the command line. */
export const whoever = 'their id, e-mail address or username'

export function addUserCommands(program: Command, { withServices }: Context): Command {
  const users = program.command('users').description('the people who have an account')

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
    .addHelpText(
      'after',
      examples(
        ['users create --email ada@example.com --admin', 'sends a link to choose a password'],
        ['users create --email ada@example.com --password-stdin', 'asks for the password'],
      ),
    )
    .action((options: Parameters<typeof createUser>[1]) =>
      withServices(({ accounts }) => createUser(accounts.administration, options)),
    )

  users
    .command('list')
    .description('list people, newest first')
    .argument('[query]', 'an id, or what an e-mail address, a username or a name begins with')
    .option('--json', 'one JSON object a line')
    .addHelpText('after', examples(['users list ada', 'whoever begins with ada'], ['users list --json', 'everybody']))
    .action((query: string | undefined, options: Parameters<typeof listUsers>[2]) =>
      withServices(({ accounts }) => listUsers(accounts.administration, query, options)),
    )

  users
    .command('show')
    .description('show one person')
    .argument('<user>', whoever)
    .option('--json', 'as JSON')
    .addHelpText('after', examples(['users show ada@example.com', 'with role and state']))
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
      .addHelpText('after', examples([`users ${name} ada@example.com`, 'on every instance, at once']))
      .action((who: string, options: Parameters<typeof setDisabled>[3]) =>
        withServices(({ accounts }) => setDisabled(accounts.administration, who, disabled, options)),
      )

  users
    .command('role')
    .description('give somebody another role')
    .argument('<user>', whoever)
    .addArgument(new Argument('<role>').choices(['user', 'admin']))
    .option('--json', 'as JSON')
    .addHelpText('after', examples(['users role ada@example.com admin', 'from the next request on']))
    .action((who: string, role: Parameters<typeof setRole>[2], options: Parameters<typeof setRole>[3]) =>
      withServices(({ accounts }) => setRole(accounts.administration, who, role, options)),
    )

  return users
}

/** `users create`: prints whom it has made. */
async function createUser(
  administration: Administration,
  {
    email,
    username,
    name,
    admin,
    passwordStdin,
    ...printing
  }: { email: string; username?: string; name?: string; admin?: boolean; passwordStdin?: boolean } & Printing,
): Promise<number> {
  const password = passwordStdin ? await readSecret('Password: ') : undefined
  const role = admin ? 'admin' : 'user'
  return printOne(await administration.create({ email, username, name, role, password }, operator), printing)
}

/** `users list`: all that are found, however many pages that takes. */
async function listUsers(
  administration: Administration,
  query: string | undefined,
  { json }: Printing,
): Promise<number> {
  const rows: string[][] = []
  let cursor: string | undefined
  do {
    const { items, nextCursor } = await administration.list({ query, cursor })
    for (const person of items)
      if (json) console.log(JSON.stringify(asJson(person)))
      else rows.push(asRow(person))
    cursor = nextCursor ?? undefined
  } while (cursor !== undefined)
  if (!json) printTable(heading, rows)
  return 0
}

/** `users show` */
async function showUser(administration: Administration, who: string, printing: Printing): Promise<number> {
  return printOne(await administration.find(who), printing)
}

/** `users disable` and `users enable` */
async function setDisabled(
  administration: Administration,
  who: string,
  disabled: boolean,
  printing: Printing,
): Promise<number> {
  const { id } = await administration.find(who)
  return printOne(await administration[disabled ? 'disable' : 'enable'](id, operator), printing)
}

/** `users role` */
async function setRole(
  administration: Administration,
  who: string,
  role: Person['role'],
  printing: Printing,
): Promise<number> {
  const { id } = await administration.find(who)
  return printOne(await administration.edit(id, { role }, operator), printing)
}

const heading = ['ID', 'E-MAIL', 'USERNAME', 'NAME', 'ROLE', 'CREATED', 'DISABLED']

function printOne(person: Person, { json }: Printing): number {
  if (json) console.log(JSON.stringify(asJson(person)))
  else printTable(heading, [asRow(person)])
  return 0
}

function asRow({ id, email, username, name, role, createdAt, disabledAt }: Person): string[] {
  return [id, email, username ?? '', name ?? '', role, createdAt.toISOString(), disabledAt?.toISOString() ?? '']
}

function asJson(person: Person) {
  return {
    id: person.id,
    email: person.email,
    email_verified: person.emailVerifiedAt !== null,
    username: person.username,
    name: person.name,
    role: person.role,
    created_at: person.createdAt.toISOString(),
    updated_at: person.updatedAt.toISOString(),
    disabled_at: person.disabledAt?.toISOString() ?? null,
  }
}
