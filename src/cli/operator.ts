import type { Actor } from '../audit/index.ts'

/** Whoever types the command; the system knows no more of them than that they may. */
export const operator: Actor = { kind: 'operator', id: null, address: null, userAgent: null }
