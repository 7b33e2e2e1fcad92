/** The names of the keys, the public contract with operators (README, "What lies in Redis"). */
export function createKeys(prefix: string) {
  const sessionsStart = `${prefix}sessions:{`
  return {
    sessionsStart,
    sessions: (userId: string) => `${sessionsStart}${userId}}`,
    access: (digest: string) => `${prefix}access:${digest}`,
    refresh: (digest: string) => `${prefix}refresh:${digest}`,
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

export const pointerTo = ({ userId, sessionId }: Target) => `${userId}/${sessionId}`

export function parsePointer(pointer: string | null): Target | null {
  const slash = pointer?.indexOf('/') ?? -1
  return slash > 0 ? { userId: pointer!.slice(0, slash), sessionId: pointer!.slice(slash + 1) } : null
}

export type Keys = ReturnType<typeof createKeys>
