import { v4 } from 'uuid'
import type { Actor } from '../audit/index.ts'
import type { Fault } from '../errors.ts'
import { canonicalLabel } from '../platform/label.ts'
import { faultOfHash } from './imported-hashes.ts'
import type { Parts } from './parts.ts'
import { canonicalEmail } from './rules.ts'
import type { Newcomer } from './users-table.ts'

/** What another system says of one person, under the names that an import has; nothing of it is believed. */
export type Foreign = Readonly<Record<string, unknown>>

/** What became of one of them. `known`: there is an account with this address already, and it was not touched. */
export type ImportOutcome = { kind: 'imported' | 'known' } | { kind: 'refused'; faults: Fault[] }

/** How many people go into one transaction. */
export const importBatchMax = 500

/** Tells what would become of people, one batch after the other, and writes nothing that stays. */
export interface Rehearsal {
  importPeople: (batch: readonly Foreign[], by: Actor, options: ImportOptions) => Promise<ImportOutcome[]>
  close: () => Promise<void>
}

interface ImportOptions {
  /** Otherwise everybody becomes a user, and whoever is to be an admin is refused. */
  allowAdmins: boolean
}

/** Takes over the accounts of another system. */
export function createImporting({ users, audit, clock, faults }: Parts) {
  /**
   * Takes over accounts with the hashes of their passwords; in one transaction, with an audit event for each.
   *
   * Nobody gets a mail. An account is known by its address: one that is there already is never changed, so repeating an
   * import is harmless. Whether an address or a username is free is the database's word, also while people register.
   *
   * @returns an outcome for each of the batch, in its order
   * @throws AppError `unavailable`, and nothing of the batch was taken over
   */
  async function importPeople(
    batch: readonly Foreign[],
    by: Actor,
    { allowAdmins }: ImportOptions,
  ): Promise<ImportOutcome[]> {
    return decide(batch, allowAdmins, (newcomers) =>
      users.alongside(async (trx) => {
        const taken = await users.insertNewcomers(trx, newcomers, new Date(clock.now()))
        const entries = [...taken.ids].map((userId) => ({ event: 'account.imported', actor: by, userId }) as const)
        await audit.record(trx, ...entries)
        return taken
      }),
    )
  }

  /** Begins to find out what an import would do; addresses and usernames are held against earlier batches as well. */
  async function rehearseImport(): Promise<Rehearsal> {
    const rehearsal = await users.openRehearsal()
    return {
      importPeople: (batch, _by, { allowAdmins }) => decide(batch, allowAdmins, rehearsal.insertNewcomers),
      close: rehearsal.close,
    }
  }

  async function decide(
    batch: readonly Foreign[],
    allowAdmins: boolean,
    insert: (newcomers: Newcomer[]) => Promise<{ ids: Set<string>; knownEmails: Set<string> }>,
  ): Promise<ImportOutcome[]> {
    const now = clock.now()
    const read = batch.map((foreign) => {
      const found = [...faultsOfForeign(foreign, { allowAdmins, now }), ...faultsOfNames(foreign)]
      return found.length > 0 ? found : newcomerOf(foreign, now)
    })
    const newcomers = read.filter((each): each is Newcomer => !Array.isArray(each))
    if (newcomers.length === 0) return read.map((each) => ({ kind: 'refused', faults: each as Fault[] }))
    const { ids, knownEmails } = await insert(newcomers)
    return read.map((each) => {
      if (Array.isArray(each)) return { kind: 'refused', faults: each }
      if (ids.has(each.id)) return { kind: 'imported' }
      if (knownEmails.has(each.email)) return { kind: 'known' }
      return { kind: 'refused', faults: [{ member: 'username', detail: 'is taken' }] }
    })
  }

  function faultsOfNames({ email, username, name }: Foreign): Fault[] {
    const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
    return faults({ email: text(email), username: text(username), name: text(name) })
  }

  return { importPeople, rehearseImport }
}

/** The members of an import: what each must be, and whether it must be there. */
const members: Record<string, { isRequired?: true; demand: string; accepts: (value: unknown) => boolean }> = {
  email: { isRequired: true, demand: 'must be text', accepts: isText },
  password_hash: { isRequired: true, demand: 'must be text', accepts: isText },
  username: { demand: 'must be text', accepts: isText },
  name: { demand: 'must be text', accepts: isText },
  role: { demand: 'must be user or admin', accepts: (value) => value === 'user' || value === 'admin' },
  email_verified: { demand: 'must be true or false', accepts: (value) => typeof value === 'boolean' },
  created_at: { demand: 'must be a time such as 2026-05-01T12:00:00Z', accepts: isTime },
}

/** What an import may say of a person. */
export const importMembers = Object.keys(members)

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isTime(value: unknown): boolean {
  return isText(value) && rfc3339.test(value) && !Number.isNaN(Date.parse(value))
}

/** What is wrong with the members of a person, without what the rules for names say. */
function faultsOfForeign(foreign: Foreign, { allowAdmins, now }: { allowAdmins: boolean; now: number }): Fault[] {
  const found: Fault[] = []
  const refuse = (member: string, detail: string) => void found.push({ member, detail })
  for (const member of Object.keys(foreign))
    if (member === 'password') refuse(member, 'is not taken: only hashes are, in password_hash')
    else if (!(member in members)) refuse(JSON.stringify(member.slice(0, memberShownMax)), 'is no member of an import')
  for (const [member, { isRequired, demand, accepts }] of Object.entries(members)) {
    const value = foreign[member]
    if (value == null ? isRequired : !accepts(value)) refuse(member, value == null ? 'is missing' : demand)
  }
  const { password_hash: hash, role, created_at: createdAt } = foreign
  const hashFault = isText(hash) ? faultOfHash(hash) : null
  if (hashFault !== null) refuse('password_hash', hashFault)
  if (role === 'admin' && !allowAdmins) refuse('role', 'must be user, unless admins are allowed')
  if (isTime(createdAt) && Date.parse(createdAt as string) > now) refuse('created_at', 'must not be in the future')
  return found
}

const memberShownMax = 40

/** A person without a fault, as they will be known. */
function newcomerOf(foreign: Foreign, now: number): Newcomer {
  const { email, password_hash: passwordHash, username, name, role, email_verified: isVerified } = foreign
  return {
    id: v4(),
    email: canonicalEmail(email as string)!,
    passwordHash: passwordHash as string,
    username: (username as string | null | undefined) ?? null,
    name: canonicalLabel((name as string | null | undefined) ?? ''),
    role: role === 'admin' ? 'admin' : 'user',
    emailVerifiedAt: isVerified === true ? new Date(now) : null,
    createdAt: foreign['created_at'] == null ? new Date(now) : new Date(foreign['created_at'] as string),
  }
}
