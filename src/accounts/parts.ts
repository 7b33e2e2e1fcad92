import type { Audit } from '../audit/index.ts'
import type { Fault } from '../errors.ts'
import type { Mails } from '../mail/index.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { Sessions } from '../sessions/index.ts'
import type { Throttle } from '../throttle/index.ts'
import type { EndingsTable } from './endings-table.ts'
import type { OneTimeTokensTable } from './one-time-tokens-table.ts'
import type { Passwords } from './passwords.ts'
import type { Written } from './rules.ts'
import type { UsersTable } from './users-table.ts'

/** What the rest of this room is made of; each part of it takes what it needs. */
export interface Parts {
  users: UsersTable
  endings: EndingsTable
  tokens: OneTimeTokensTable
  sessions: Sessions
  throttle: Throttle
  passwords: Passwords
  mails: Pick<Mails, 'queue'>
  audit: Audit
  clock: Clock
  log: Log
  registration: 'open' | 'closed'
  requireVerifiedEmail: boolean
  /** Whether people are told of logins from new devices at all. */
  sendsSignInNotices: () => boolean
  /** Everything wrong with what somebody wrote about themselves, by the settings of now. */
  faults: (written: Written) => Fault[]
}
