import type { Actor } from '../audit/index.ts'
import type { Client } from '../sessions/index.ts'

/** Who acts, as the audit keeps it. */

/** The owner of an account, who has shown a session, a password or a link. */
export function owner(id: string, { address, userAgent }: Client): Actor {
  return { kind: 'person', id, address, userAgent }
}

/** Somebody who has shown nothing that was right. */
export function stranger({ address, userAgent }: Client): Actor {
  return { kind: 'stranger', id: null, address, userAgent }
}

/** Nobody: the service by its own rules. */
export const theService: Actor = { kind: 'service', id: null, address: null, userAgent: null }
