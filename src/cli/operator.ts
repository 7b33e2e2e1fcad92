import type { Actor } from '../audit/index.ts'

/** Whoever has the environment of the service; their account is not known. */
export const operator: Actor = { kind: 'operator', id: null, address: null, userAgent: null }
