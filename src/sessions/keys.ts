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

export type Keys = ReturnType<typeof createKeys>
