import fs from 'node:fs/promises'
import os from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'

/** Half of the way down: about a tenth of what a thread of the usual priority gets, where both want the same core. */
const priority = 10
/** More than there are threads, as a rule; where there are more of them, the next rounds meet others. */
const asksAtOnce = 32
/** So often in a row nobody new may be met before all are taken to be known. */
const vainRoundsMax = 10
/** Between rounds: a thread that was not woken in time for one is for the next. */
const pauseMs = 5

/**
 * Lets the threads of the pool, which hash passwords, give way to others that want their core.
 *
 * A hash takes a core for some 20 ms. On two cores that is half of the machine, and without this the thread that answers
 * requests, and Redis, wait in turn with it. On Linux each thread has a priority of its own (setpriority(2)), and anybody
 * may lower theirs; elsewhere, and where /proc is hidden, everything stays as it is. Where the kernel shares out its cores
 * by session (sched(7), autogroup) or control group, it counts within that only: not against a Redis outside of it.
 *
 * @returns the ids of the threads that were lowered; without an error, since the service works as well without it
 */
export async function lowerPoolPriority(): Promise<Set<number>> {
  const lowered = new Set<number>()
  for (let vainRounds = 0; vainRounds < vainRoundsMax; vainRounds++) {
    // Each answer names the thread that has looked, and many at once are looked for by several.
    const links = await Promise.all(
      Array.from({ length: asksAtOnce }, () => fs.readlink('/proc/thread-self').catch(() => '')),
    )
    await delay(pauseMs)
    for (const id of links.map((link) => Number(/\/task\/(\d+)$/.exec(link)?.[1]))) {
      if (!id) return lowered
      if (lowered.has(id)) continue
      try {
        os.setPriority(id, priority)
      } catch {
        return lowered // a sandbox that does not let us
      }
      lowered.add(id)
      vainRounds = 0
    }
  }
  return lowered
}
