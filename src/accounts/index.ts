import type { Knex } from '../platform/postgres.ts'
import { createAdministration } from './administration.ts'
import { createConsequences } from './consequences.ts'
import { createEnding } from './ending.ts'
import { createEndingsTable } from './endings-table.ts'
import { createImporting } from './importing.ts'
import { createOneTimeTokensTable } from './one-time-tokens-table.ts'
import type { Parts } from './parts.ts'
import { createProfile } from './profile.ts'
import { createReconciliation } from './reconciliation.ts'
import { createRecovery } from './recovery.ts'
import { createRefresh } from './refresh.ts'
import { createReplay } from './replay.ts'
import { faultsOf } from './rules.ts'
import { createSignIn } from './sign-in.ts'
import { createUsersTable } from './users-table.ts'

export { createPasswords, type Passwords } from './passwords.ts'
export type { Caller, DeadSession } from './ending.ts'
export { importBatchMax, importMembers, type Foreign, type ImportOutcome, type Rehearsal } from './importing.ts'
export type { Person } from './person.ts'
export { driftKinds, type Drift, type DriftKind } from './reconciliation.ts'
export type { Written } from './rules.ts'
export type { Identifier, SignedIn } from './sign-in.ts'

export type Accounts = ReturnType<typeof createAccounts>

/** The people and what they may do: the one door to opening, renewing and ending sessions, for HTTP and operators alike. */
export function createAccounts({
  knex,
  passwordMinLength,
  ...given
}: Omit<Parts, 'users' | 'endings' | 'tokens' | 'faults'> & { knex: Knex; passwordMinLength: () => number }) {
  const parts: Parts = {
    ...given,
    users: createUsersTable(knex),
    endings: createEndingsTable(knex),
    tokens: createOneTimeTokensTable(knex),
    faults: (written) => faultsOf(written, { passwordMinLength: passwordMinLength() }),
  }
  const { tokens, endings, clock, faults } = parts
  const consequences = createConsequences(parts)
  const { end, endOne, endAll, record, ...ending } = createEnding({ ...parts, consequences })
  const recovery = createRecovery({ ...parts, consequences })
  return {
    faults,
    ...createSignIn({ ...parts, recordEndings: record }),
    ...createRefresh({ ...parts, end, confirmEnding: ending.confirmEnding }),
    ...ending,
    ...createProfile({ ...parts, changeEmail: recovery.changeEmail }),
    ...recovery,
    administration: createAdministration({ ...parts, consequences, endOne, endAll }),
    ...createImporting(parts),
    ...createReconciliation(parts),
    ...createReplay(parts),
    /** Removes what has lapsed: one-time tokens, and endings of sessions that would be over by their age. */
    async prune(sessionsOpenedBefore: Date): Promise<Record<'links' | 'endings', number>> {
      const links = await tokens.prune(new Date(clock.now()))
      return { links, endings: await endings.prune(sessionsOpenedBefore) }
    },
  }
}
