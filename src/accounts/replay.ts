import type { Parts } from './parts.ts'

/** Tells a Redis that may have forgotten of the endings that PostgreSQL knows. */
export function createReplay({ endings, sessions, clock }: Parts) {
  /**
   * Ends once more what has ended of late.
   *
   * A Redis that was restored, restarted or promoted may lack its last writes. A refresh is checked against PostgreSQL each
   * time, but an access token would live again until it expires; so what has ended within the life of access tokens is
   * all that matters.
   *
   * @param withinMs how far back; by the clocks of the instances, which may differ
   * @returns how many sessions were open in Redis although they had ended
   * @throws AppError `unavailable`; what was ended until then stays so
   */
  async function replayEndings(withinMs: number): Promise<number> {
    const since = new Date(clock.now() - withinMs)
    let count = 0
    for await (const moved of endings.epochsMovedSince(since))
      for (const ended of await Promise.all(
        moved.map(({ userId, epoch, reason }) => sessions.endOlder(userId, epoch, reason)),
      ))
        count += ended
    for await (const page of endings.endedSince(since))
      for (const ended of await Promise.all(
        page.map(({ userId, sessionId, reason }) => sessions.end(userId, [sessionId], reason)),
      ))
        count += ended.length
    return count
  }

  return { replayEndings }
}
