import { AppError } from '../errors.ts'

export interface AdmissionBounds {
  /** How many run at the same time. */
  atOnce: number
  /** How many more may wait for a place. */
  waitingMax: number
}

/** Nobody waits longer than this: the caller's own patience ends at 5 s. */
const waitMaxMs = 4000

export interface Admit {
  <T>(work: () => Promise<T>): Promise<T>
  /** How many pieces run and how many wait, at this moment. */
  load: () => { running: number; waiting: number }
}

/**
 * Lets so many pieces of costly work run at once, a short line wait, and turns the rest away.
 *
 * Hashing takes a core and a thread of the pool for some 20 ms, and the pool is everybody's. With a core left free, a
 * storm of logins makes logins wait, and token checks do not notice.
 *
 * @param onAdmitted is told how long each piece has waited, in milliseconds
 * @throws AppError `unavailable`, at once when the line is full, or when a place was not free in time
 */
export function createAdmission(
  { atOnce, waitingMax }: AdmissionBounds,
  onAdmitted: (waitedMs: number) => void = () => undefined,
): Admit {
  const line: { enter: () => void; timer: NodeJS.Timeout }[] = []
  let inside = 0

  function place(): Promise<void> {
    if (inside < atOnce) {
      inside++
      return Promise.resolve()
    }
    if (line.length >= waitingMax) return Promise.reject(new AppError('unavailable'))
    return new Promise((enter, reject) => {
      const timer = setTimeout(() => {
        line.splice(line.indexOf(waiter), 1)
        reject(new AppError('unavailable'))
      }, waitMaxMs)
      const waiter = { enter, timer }
      line.push(waiter)
    })
  }

  /** Hands the place to whoever has waited longest, or leaves it free. */
  function leave(): void {
    const next = line.shift()
    if (!next) {
      inside--
      return
    }
    clearTimeout(next.timer)
    next.enter()
  }

  async function admit<T>(work: () => Promise<T>): Promise<T> {
    const askedAt = performance.now()
    await place()
    onAdmitted(performance.now() - askedAt)
    try {
      return await work()
    } finally {
      leave()
    }
  }

  return Object.assign(admit, { load: () => ({ running: inside, waiting: line.length }) })
}
