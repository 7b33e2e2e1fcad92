import { RateLimiterRedis } from 'rate-limiter-flexible'
import { AppError } from '../errors.ts'
import { fromRedis, sendTogether, type Redis } from '../platform/redis.ts'
import type { Rule, RuleName } from './rules.ts'
import { keyOf, type Subject } from './subject.ts'

export type { Rule, RuleName } from './rules.ts'
export type { Subject } from './subject.ts'

export type Throttle = ReturnType<typeof createThrottle>

/** What the keys of all limits begin with; `:<rule>:<subject>` follows. */
export const keyStart = (prefix: string) => `${prefix}limit`

/**
 * The limits, counted in Redis for all instances together: who has spent how much of which rule.
 *
 * A window begins with the first point and ends with the TTL of its key; nothing that comes after prolongs it. Nothing
 * is kept in memory, and there is no fallback: every method throws AppError `unavailable` when Redis cannot say.
 *
 * @param rules asked anew for each operation, so that a limit may change at any time
 * @param onReached told once a window, when the last point of it is spent; must not throw
 */
export function createThrottle({
  redis,
  prefix,
  rules,
  onReached,
}: {
  redis: Redis
  prefix: string
  rules: () => Readonly<Record<RuleName, Rule>>
  onReached: (rule: RuleName, subject: Subject) => Promise<void>
}) {
  // The library counts and keeps the windows; what is too much is decided here. Its own limits are not used.
  const counter = new RateLimiterRedis({ storeClient: redis, keyPrefix: keyStart(prefix), points: 1, duration: 1 })

  /** A crowd that comes at one moment goes to Redis as one. */
  const counted = <T>(ask: () => Promise<T>) => fromRedis(sendTogether(redis, ask))

  /** Counts one point, in one step with reading how many there are. */
  async function add(rule: RuleName, subject: Subject): Promise<Spent> {
    const { points, windowSeconds } = rules()[rule]
    const options = { customDuration: windowSeconds }
    const spent = spentOf(await counted(() => counter.penalty(`${rule}:${keyOf(subject)}`, 1, options)))
    if (spent.points === points) await onReached(rule, subject)
    return spent
  }

  /**
   * Reads how many there are. The verdict hangs on that alone; when the window ends is a hint, and another step.
   *
   * The library would ask in a `MULTI`. What the client makes for one is not collected with the other young objects
   * (figures: bench/README.md).
   */
  async function read(rule: RuleName, subject: Subject): Promise<Spent> {
    const key = counter.getKey(`${rule}:${keyOf(subject)}`)
    const [msBeforeNext, points] = await counted(() => Promise.all([redis.pttl(key), redis.get(key)]))
    if (points === null) return { points: 0, endsInSeconds: 0 }
    return spentOf({ consumedPoints: /^\d+$/.test(points) ? Number(points) : NaN, msBeforeNext })
  }

  /** Spends one point, and tells what became of it: null when it was there, else the refusal to throw or to swallow. */
  async function spend(rule: RuleName, subject: Subject): Promise<AppError | null> {
    const spent = await add(rule, subject)
    return spent.points > rules()[rule].points ? refusal(spent) : null
  }

  /** @throws AppError `too-many-attempts` */
  async function mustSpend(rule: RuleName, subject: Subject): Promise<void> {
    const refused = await spend(rule, subject)
    if (refused) throw refused
  }

  /**
   * Checks a secret of somebody, and tells whether it was right; only a wrong one is counted.
   *
   * No verdict is told before it has been counted, or held against the count. So of any number of guesses at one
   * instant, on any number of instances, at most as many as the rule has points learn that they were wrong, and a right
   * one after those learns nothing; while any number of right ones at one instant are let in. At the limit nothing is
   * checked at all.
   *
   * @throws AppError `too-many-attempts`, for a right secret as well, and whatever `check` throws (it counts nothing)
   */
  async function attempt(rule: RuleName, subject: Subject, check: () => Promise<boolean>): Promise<boolean> {
    await mustHaveLeft(rule, subject)
    if (await check()) {
      await mustHaveLeft(rule, subject)
      return true
    }
    await mustSpend(rule, subject)
    return false
  }

  async function mustHaveLeft(rule: RuleName, subject: Subject): Promise<void> {
    const spent = await read(rule, subject)
    if (spent.points >= rules()[rule].points) throw refusal(spent)
  }

  return { spend, mustSpend, attempt }
}

interface Spent {
  points: number
  endsInSeconds: number
}

/** @throws AppError `unavailable` when what lies under the key is no count; to guess it were to let somebody in */
function spentOf({ consumedPoints, msBeforeNext }: { consumedPoints: number; msBeforeNext: number }): Spent {
  if (!Number.isInteger(consumedPoints)) throw new AppError('unavailable')
  return { points: consumedPoints, endsInSeconds: Math.max(1, Math.ceil(msBeforeNext / 1000)) }
}

function refusal({ endsInSeconds }: Spent): AppError {
  return new AppError('too-many-attempts', { retryAfterSeconds: endsInSeconds })
}
