import fs from 'node:fs/promises'
import os from 'node:os'

/** Half of the way down: about a tenth of what a thread of the usual priority gets, where both want the same core. */
const priority = 10
const asksMax = 100

/**
 * Lets the threads of the pool, which hash passwords, give way to everything else that wants their core.
 *
 * A hash takes a core for some 20 ms. On two cores that is half of the machine, and without this the thread that answers
 * requests, and Redis, wait in turn with it. On Linux each thread has a priority of its own (setpriority(2)), and anybody
 * may lower theirs; elsewhere, and where /proc is hidden, everything stays as it is.
 *
 * @param poolSize how many threads there are
 * @returns the ids of the threads that were lowered; without an error, since the service works as well without it
 */
export async function lowerPoolPriority(poolSize: number): Promise<Set<number>> {
  const lowered = new Set<number>()
  // Each answer names the thread that has looked, and many at once are looked for by several.
  for (let asks = 0; lowered.size < poolSize && asks < asksMax; asks++) {
    const links = await Promise.all(
      Array.from({ length: poolSize }, () => fs.readlink('/proc/thread-self').catch(() => '')),
    )
    for (const id of links.map((link) => Number(/\/task\/(\d+)$/.exec(link)?.[1]))) {
      if (!id) return lowered
      if (lowered.has(id)) continue
      try {
        os.setPriority(id, priority)
      } catch {
        return lowered // a sandbox that does not let us
      }
      lowered.add(id)
    }
  }
  return lowered
}
