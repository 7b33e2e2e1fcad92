import type { EndReason } from '../sessions/index.ts'

/** What an event of an account does beyond voiding its one-time tokens, which all of these do. */
interface Consequence {
  /** Why sessions end, or null where none does. */
  endsSessions: EndReason | null
  /** The notice to the owner. */
  notice: 'password-changed' | 'password-reset' | 'email-changed' | null
}

/** What ends what, for the events that change an account. A password change spares the session it came with. */
export const consequences = {
  'password-change': { endsSessions: 'password-changed', notice: 'password-changed' },
  'password-reset': { endsSessions: 'password-reset', notice: 'password-reset' },
  'email-change': { endsSessions: null, notice: 'email-changed' },
  delete: { endsSessions: 'revoked', notice: null },
} as const satisfies Record<string, Consequence>
