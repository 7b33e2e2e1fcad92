import type { EndReason } from '../sessions/index.ts'

/** What an event of an account does to its sessions and one-time tokens. The table of DESIGN, in code. */
export interface Consequence {
  /** Why sessions end, or null where none does. */
  endsSessions: EndReason | null
  /** Whether the session that the request came with goes on, with a new pair. */
  sparesCaller: boolean
  voidsOneTimeTokens: boolean
  /** The notice to the owner. */
  notice: 'password-changed' | 'password-reset' | 'email-changed' | null
}

export const consequences = {
  'password-change': {
    endsSessions: 'password-changed',
    sparesCaller: true,
    voidsOneTimeTokens: true,
    notice: 'password-changed',
  },
  'password-reset': {
    endsSessions: 'password-reset',
    sparesCaller: false,
    voidsOneTimeTokens: true,
    notice: 'password-reset',
  },
  'email-change': { endsSessions: null, sparesCaller: true, voidsOneTimeTokens: true, notice: 'email-changed' },
  delete: { endsSessions: 'revoked', sparesCaller: false, voidsOneTimeTokens: true, notice: null },
} as const satisfies Record<string, Consequence>
