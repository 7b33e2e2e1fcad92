import { v4 } from 'uuid'

/**
 * The names of the keys, the public contract with operators (README, "What lies in Redis").
 *
 * `at` is an access token and `rt` a refresh token: of all keys these are the many. With the usual prefix their names
 * have 44 characters, the most that Redis keeps in 48 bytes; so has what they hold, the most that it keeps with its object.
 */
export function createKeys(prefix: string) {
  const sessionsStart = `${prefix}sessions:{`
  return {
    sessionsStart,
    sessions: (userId: string) => `${sessionsStart}${userId}}`,
    access: (digest: string) => `${prefix}at:${digest}`,
    refresh: (digest: string) => `${prefix}rt:${digest}`,
    unwritten: (userId: string) => `${prefix}unwritten:{${userId}}`,
    ended: (sessionId: string) => `${prefix}ended:${sessionId}`,
    revocations: `${prefix}revocations`,
  }
}

/** What a pointer says: whose session its token is of. */
export interface Target {
  userId: string
  sessionId: string
}

/**
 * Mints the id of a session: that of its user, but for the last group of 12 digits, which is random.
 *
 * So a pointer need not hold the rest twice, which is 32 bytes less a session. The id is no secret, and 48 random bits
 * set apart what one user will ever open. It has the form of the user's id, a UUID of version 4.
 */
export function mintSessionId(userId: string): string {
  return userId.slice(0, ownStart) + v4().slice(ownStart)
}

/** Where the group begins that a session's id does not share with its user's. */
const ownStart = '12345678-1234-1234-1234-'.length

/** The 32 digits of the user's id and the last 12 of the session's, without hyphens. */
export function pointerTo({ userId, sessionId }: Target): string {
  return userId.replaceAll('-', '') + sessionId.slice(ownStart)
}

/** Reads what {@link pointerTo} wrote; null where there is none, or something else. The look-up's Lua does the same. */
export function parsePointer(pointer: string | null): Target | null {
  if (pointer?.length !== pointerLength) return null
  const shared = `${pointer.slice(0, 8)}-${pointer.slice(8, 12)}-${pointer.slice(12, 16)}-${pointer.slice(16, 20)}-`
  return { userId: shared + pointer.slice(20, 32), sessionId: shared + pointer.slice(32) }
}

const pointerLength = 32 + 12

export type Keys = ReturnType<typeof createKeys>
