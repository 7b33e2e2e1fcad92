import { setTimeout as delay } from 'node:timers/promises'
import { backOffMs } from './back-off.ts'

/**
 * Knows whether the mail server is away, and makes everybody wait together while it is.
 *
 * So a thousand queued mails do not each knock at a door that is shut: those in hand wait, the others stay in the queue.
 */
export function createOutage() {
  let failures = 0
  let until = 0
  return {
    /** Whether the last word about the server was that it cannot be reached. */
    lasts: () => failures > 0,
    began() {
      until = performance.now() + backOffMs(++failures)
    },
    ended() {
      failures = 0
      until = 0
    },
    /** Returns when the next attempt is due, which is at once when all is well, or when `signal` is aborted. */
    async pass(signal: AbortSignal): Promise<void> {
      while (until > performance.now() && !signal.aborted)
        await delay(until - performance.now(), undefined, { signal }).catch(() => undefined)
    },
  }
}
