import { setTimeout as delay } from 'node:timers/promises'

/** Waits until an expectation holds, and tells its failure when it does not within the time. */
export async function eventually<T>(expectation: () => Promise<T> | T, withinMs = 5000): Promise<T> {
  const endsAt = Date.now() + withinMs
  for (;;) {
    try {
      return await expectation()
    } catch (error) {
      if (Date.now() > endsAt) throw error
      await delay(10)
    }
  }
}
