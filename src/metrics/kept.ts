import { setTimeout as delay } from 'node:timers/promises'

/** The longest that a scrape waits for one answer; Prometheus itself waits ten seconds for all of them. */
const waitMaxMs = 2000

/**
 * Asks at most once in so many milliseconds, counted from the last answer that was one, and never twice at a time.
 *
 * @returns what was answered, or null when that failed or does not come in time
 */
export function kept<T>(ask: () => Promise<T>, keptMs: number): () => Promise<T | null> {
  let answer: Promise<T | null> | undefined
  let answeredAt = Infinity

  return async () => {
    if (!answer || performance.now() - answeredAt >= keptMs) {
      answeredAt = Infinity
      answer = ask().then(
        (found) => {
          answeredAt = performance.now()
          return found
        },
        () => {
          answeredAt = -Infinity
          return null
        },
      )
    }
    const settled = new AbortController()
    const tooLate = delay(waitMaxMs, null, { signal: settled.signal }).catch(() => null)
    return Promise.race([answer, tooLate]).finally(() => settled.abort())
  }
}
