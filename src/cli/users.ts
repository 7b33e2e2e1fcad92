import type { Accounts, Person } from '../accounts/index.ts'
import { operator } from './operator.ts'
import { readSecret } from './secret.ts'
import { printTable } from './table.ts'

type Administration = Accounts['administration']

interface Printing {
  json?: boolean
}

/** `users create`: prints whom it has made. */
export async function createUser(
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
export async function listUsers(
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
export async function showUser(administration: Administration, who: string, printing: Printing): Promise<number> {
  return printOne(await administration.find(who), printing)
}

/** `users disable` and `users enable` */
export async function setDisabled(
  administration: Administration,
  who: string,
  disabled: boolean,
  printing: Printing,
): Promise<number> {
  const { id } = await administration.find(who)
  return printOne(await administration[disabled ? 'disable' : 'enable'](id, operator), printing)
}

/** `users role` */
export async function setRole(
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
