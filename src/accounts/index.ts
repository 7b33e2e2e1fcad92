import type { Clock } from '../platform/clock.ts'
import type { Mails } from '../mail/index.ts'
import type { Log } from '../platform/log.ts'
import type { Knex } from '../platform/postgres.ts'
import type { Sessions } from '../sessions/index.ts'
import type { Throttle } from '../throttle/index.ts'
import { createAdministration } from './administration.ts'
import { createConsequences } from './consequences.ts'
import { createEnding } from './ending.ts'
import { createEndingsTable } from './endings-table.ts'
import { createOneTimeTokensTable } from './one-time-tokens-table.ts'
import type { Passwords } from './passwords.ts'
import { createProfile } from './profile.ts'
import { createRecovery } from './recovery.ts'
import { createRefresh } from './refresh.ts'
import { createSignIn } from './sign-in.ts'
import { createUsersTable } from './users-table.ts'

export { createPasswords, type Passwords } from './passwords.ts'
export type { Caller } from './ending.ts'
export type { Person } from './person.ts'
export type { Written } from './rules.ts'
export type { Identifier, SignedIn } from './sign-in.ts'

export type Accounts = ReturnType<typeof createAccounts>

/** The people and what they may do: the one door to opening, renewing and ending sessions, for HTTP and operators alike. */
export function createAccounts({
  knex,
  sessions,
  throttle,
  passwords,
  clock,
  log,
  mails,
  registration,
  requireVerifiedEmail,
  passwordMinLength,
}: {
  knex: Knex
  sessions: Sessions
  throttle: Throttle
  passwords: Passwords
  clock: Clock
  log: Log
  mails: Pick<Mails, 'queue'>
  registration: 'open' | 'closed'
  requireVerifiedEmail: boolean
  passwordMinLength: () => number
}) {
  const users = createUsersTable(knex)
  const endings = createEndingsTable(knex)
  const signIn = createSignIn({
    users,
    endings,
    sessions,
    throttle,
    passwords,
    clock,
    log,
    mails,
    registration,
    requireVerifiedEmail,
    passwordMinLength,
  })
  const tokens = createOneTimeTokensTable(knex)
  const consequences = createConsequences({ users, tokens, sessions, mails, clock })
  const ending = createEnding({ users, endings, consequences, sessions, clock, log })
  const recovery = createRecovery({
    users,
    endings,
    tokens,
    consequences,
    sessions,
    throttle,
    passwords,
    mails,
    clock,
    log,
    faults: signIn.faults,
  })
  return {
    faults: signIn.faults,
    register: signIn.register,
    logIn: signIn.logIn,
    ...createRefresh({ users, sessions, throttle, ending, consequences, log }),
    confirmEnding: ending.confirmEnding,
    logOut: ending.logOut,
    logOutByRefreshToken: ending.logOutByRefreshToken,
    revokeToken: ending.revokeToken,
    logOutEverywhere: ending.logOutEverywhere,
    revoke: ending.revoke,
    revokeOthers: ending.revokeOthers,
    ...createProfile({
      users,
      sessions,
      clock,
      mustBeFaultless: signIn.mustBeFaultless,
      changeEmail: recovery.changeEmail,
    }),
    ...recovery,
    ...createAdministration({ users, consequences, sessions, clock, log }),
    /** Removes what has lapsed: one-time tokens, and endings of sessions that would be over by their age. */
    async prune(sessionsOpenedBefore: Date): Promise<void> {
      await tokens.prune(new Date(clock.now()))
      await endings.prune(sessionsOpenedBefore)
    },
  }
}
