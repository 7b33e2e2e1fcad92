import { setTimeout as sleep } from 'node:timers/promises'

/** Does a thing so many times, with so many under way at once. */
export async function inLanes<T>(count: number, lanes: number, make: () => Promise<T>): Promise<T[]> {
  const made: T[] = []
  let begun = 0
  const lane = async () => {
    while (begun++ < count) made.push(await make())
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return made
}

/** Begins so many a second, each at its time: a server that stands still is asked on, and its delay is seen whole. */
export async function atRate<T>(
  perSecond: number,
  seconds: number,
  signal: AbortSignal,
  begin: () => Promise<T>,
): Promise<T[]> {
  const begun: Promise<T>[] = []
  const startedAt = performance.now()
  while (begun.length < perSecond * seconds) {
    const due = startedAt + (begun.length * 1000) / perSecond
    const early = due - performance.now()
    if (early > 0) await sleep(early, undefined, { signal })
    begun.push(begin())
  }
  return Promise.all(begun)
}
