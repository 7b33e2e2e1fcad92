import { createThrottle, type Throttle } from '../../src/throttle/index.ts'
import type { Redis } from '../../src/platform/redis.ts'
import { keyPrefix } from './stores.ts'

/** The limits on the run's Redis, so wide that no test meets them by accident; some rules may be narrower. */
export function aThrottle(
  redis: Redis,
  rules: Partial<ReturnType<Parameters<typeof createThrottle>[0]['rules']>> = {},
): Throttle {
  const wide = { points: 1_000_000, windowSeconds: 60 }
  const all = {
    'wrong-passwords': wide,
    logins: wide,
    registrations: wide,
    'wrong-tokens': wide,
    'mail-requests': wide,
    mails: wide,
  }
  return createThrottle({
    redis,
    prefix: keyPrefix,
    onReached: async () => undefined,
    rules: () => ({ ...all, ...rules }),
  })
}
