import type { MovedEpoch } from './endings-table.ts'
import type { Parts } from './parts.ts'
import { cardOf } from './person.ts'

/** What a Redis is to be told. */
export interface Replay {
  /** How far back; by the clocks of the instances, which may differ. */
  withinMs: number
  /** What this Redis was told already, and need not be told again; it grows by what it is told now. */
  told: Set<string>
  /** Whose sessions lie where it is to be told. */
  concerns: (userId: string) => boolean
  /** The epochs that a look before has seen; null where Redis may lack them, and none can wait. */
  seen: Set<string> | null
}

/** Tells a Redis that may have forgotten what PostgreSQL knows. */
export function createReplay({ users, endings, sessions, clock }: Parts) {
  /**
   * Ends once more what has ended of late, and says again who the people are that were changed.
   *
   * A Redis that was restored, restarted or promoted may lack its last writes. A refresh is checked against PostgreSQL each
   * time, and takes the person from there; but an access token would live again, or say an older role, until it expires. So
   * what has happened within the life of access tokens is all that matters.
   *
   * A password change moves the epoch first and gives its session a new pair then, so an epoch that was seen between the two
   * would cost that session its life: what came last is looked at twice, and acted on the second time.
   *
   * @returns how many sessions were open in Redis although they had ended
   * @throws AppError `unavailable`; what was told until then stays so
   */
  async function replay({ withinMs, told, concerns, seen }: Replay): Promise<number> {
    const since = new Date(clock.now() - withinMs)
    let count = 0
    /** Of one page, which is small enough to be told at once. */
    async function tell<T extends { userId: string }>(
      page: T[],
      nameOf: (one: T) => string,
      telling: (one: T) => Promise<number>,
    ): Promise<void> {
      const news = page.filter((one) => !told.has(nameOf(one)) && concerns(one.userId))
      for (const ended of await Promise.all(news.map(telling))) count += ended
      for (const one of news) told.add(nameOf(one))
    }
    const nameOfEpoch = ({ userId, epoch }: MovedEpoch) => `${userId} ${epoch}`
    for await (const page of endings.epochsMovedSince(since)) {
      const settled = page.filter((one) => !seen || seen.has(nameOfEpoch(one)))
      for (const one of page) seen?.add(nameOfEpoch(one))
      await tell(settled, nameOfEpoch, ({ userId, epoch, reason }) => sessions.endOlder(userId, epoch, reason))
    }
    for await (const page of endings.endedSince(since))
      await tell(
        page,
        ({ sessionId }) => sessionId,
        async ({ userId, sessionId, reason }) => (await sessions.end(userId, [sessionId], reason)).length,
      )
    for await (const page of users.changedSince(since))
      await tell(
        page.map((person) => ({ userId: person.id, card: cardOf(person) })),
        ({ userId, card }) => `${userId} at ${card.updatedAt}`,
        async ({ userId, card }) => {
          await sessions.putCard(userId, card)
          return 0
        },
      )
    return count
  }

  return { replay }
}
