import { setTimeout as delay } from 'node:timers/promises'
import type { Actor } from '../audit/index.ts'
import type { EndReason, OpenSession } from '../sessions/index.ts'
import type { Parts } from './parts.ts'

/**
 * What the stores do not agree on. `ended`: sessions that go on in Redis, though PostgreSQL knows that they have ended,
 * or knows nobody of whom they could be. `stranded`: sessions whose refresh token leads nowhere. `dangling`: tokens that
 * lead to no session. `lasting`: keys that would stay for ever.
 */
export const driftKinds = ['ended', 'stranded', 'dangling', 'lasting'] as const
export type DriftKind = (typeof driftKinds)[number]

export interface Drift {
  keys: number
  openSessions: number
  found: Record<DriftKind, number>
  mended: Record<DriftKind, number>
  /** There was more than one run looks into; the next one finds the rest. */
  isPartial: boolean
}

/** So many suspects are kept in memory. */
const suspectsMax = 100_000
/** How many are looked into at a time. */
const atOnce = 100
/** How long a login, a refresh or a change of password may take between its steps: then it is done, or has failed. */
const settleMs = 5000

/** Holds the sessions in Redis against what PostgreSQL knows. */
export function createReconciliation({ users, sessions: { upkeep }, audit }: Parts) {
  /**
   * Goes through all sessions, and mends on demand what does not agree. It may run beside any traffic.
   *
   * A finding is what was odd twice, five seconds apart: what is under way at the first look is done by the second. And
   * each mending names what it was decided on, and does nothing when that has changed meanwhile.
   *
   * @throws AppError `unavailable`; what was mended until then stays so
   */
  async function reconcile({
    mend,
    by,
    onProgress = () => undefined,
  }: {
    mend: boolean
    by: Actor
    onProgress?: (progress: { keys: number; keysTotal: number }) => void
  }): Promise<Drift> {
    const drift: Drift = { keys: 0, openSessions: 0, found: zeroes(), mended: zeroes(), isPartial: false }
    const suspects: Suspect[] = []
    for await (const page of upkeep.survey()) {
      const ended = await users.endedAmong(page.open.map(({ session }) => session))
      const odd: Suspect[] = [
        ...page.open.filter(({ session }) => ended.has(session.id)).map(endedSuspect),
        ...page.stranded
          .filter(({ session }) => !ended.has(session.id))
          .map((one) => suspect('stranded', one, upkeep.isStranded, upkeep.point)),
        ...page.dangling.map((one) => suspect('dangling', one, upkeep.isDangling, upkeep.unpoint)),
        ...page.lasting.map((key) => suspect('lasting', key, upkeep.isLasting, upkeep.expire)),
      ]
      if (suspects.length + odd.length > suspectsMax) drift.isPartial = true
      else suspects.push(...odd)
      drift.keys += page.keysSeen
      drift.openSessions += page.open.length
      onProgress({ keys: drift.keys, keysTotal: page.keysTotal })
    }
    if (suspects.length > 0) await delay(settleMs)
    for (let i = 0; i < suspects.length; i += atOnce)
      await Promise.all(
        suspects.slice(i, i + atOnce).map(async ({ kind, confirm }) => {
          const repair = await confirm()
          if (!repair) return
          drift.found[kind] += 1
          if (mend && (await repair())) drift.mended[kind] += 1
        }),
      )
    return drift

    function endedSuspect(first: OpenSession): Suspect {
      return {
        kind: 'ended',
        async confirm() {
          const now = await upkeep.reread(first)
          const reason = now && (await users.endedAmong([now.session])).get(now.session.id)
          return now && reason ? () => endNow(now, reason) : null
        },
      }
    }

    async function endNow(open: OpenSession, reason: EndReason): Promise<boolean> {
      if (!(await upkeep.endIf(open, reason))) return false
      const { id: sessionId, userId } = open.session
      await audit.note({ event: 'session.ended', actor: by, userId, sessionId, detail: { reason } })
      return true
    }
  }

  return { reconcile }
}

/** Something that was odd at the first look. */
interface Suspect {
  kind: DriftKind
  /** The second look: what mends it, or null when nothing is odd any more. */
  confirm: () => Promise<(() => Promise<boolean>) | null>
}

function suspect<T>(
  kind: DriftKind,
  one: T,
  isOdd: (one: T) => Promise<boolean>,
  repair: (one: T) => Promise<boolean>,
): Suspect {
  return { kind, confirm: async () => ((await isOdd(one)) ? () => repair(one) : null) }
}

function zeroes(): Record<DriftKind, number> {
  return { ended: 0, stranded: 0, dangling: 0, lasting: 0 }
}
