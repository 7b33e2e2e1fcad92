import { AppError } from '../errors.ts'

export interface AdmissionBounds {
  /** How many run at the same time. */
  atOnce: number
  /** How many more may wait for a place. */
  waitingMax: number
}

/** Nobody waits longer than this: the caller's own patience ends at 5 s. */
const waitMaxMs = 4000
/** Who would have to wait longer, going by what the work has taken of late, need not begin to: it may take longer yet. */
const expectedWaitMaxMs = 3000
/** How many of the last pieces say how long one takes: the one in the middle, so that a moment of standstill says nothing. */
const latestMax = 15

export interface Admit {
  <T>(work: () => Promise<T>): Promise<T>
  /** Does what asks for a place before long, unless there are as many on their way as will get one. */
  before: <T>(work: () => Promise<T>) => Promise<T>
  /** How many pieces run and how many wait, at this moment. */
  load: () => { running: number; waiting: number }
}

/**
 * Lets so many pieces of costly work run at once, a short line wait, and turns the rest away.
 *
 * Hashing takes a core and a thread of the pool for some 20 ms, and the pool is everybody's. With a core left free, a
 * storm of logins makes logins wait, and token checks do not notice. Whoever would wait too long, by what a piece has
 * taken of late, is turned away at once and not after the wait; and, with `before`, ahead of all that a login costs
 * besides its hash.
 *
 * @param onAdmitted is told how long each piece has waited, in milliseconds
 * @throws AppError `unavailable`, at once when the line is full or too slow, or when a place was not free in time
 */
export function createAdmission(
  { atOnce, waitingMax }: AdmissionBounds,
  onAdmitted: (waitedMs: number) => void = () => undefined,
): Admit {
  const line: { enter: () => void; timer: NodeJS.Timeout }[] = []
  let inside = 0
  let onTheirWay = 0
  const latestMs: number[] = []

  /** How many may wait now: no more than will have had their turn in time. */
  function lineMax(): number {
    const usualMs = latestMs.toSorted((one, other) => one - other)[latestMs.length >> 1]
    return usualMs ? Math.min(waitingMax, Math.floor((expectedWaitMaxMs / usualMs) * atOnce)) : waitingMax
  }

  function place(): Promise<void> {
    if (inside < atOnce) {
      inside++
      return Promise.resolve()
    }
    if (line.length >= lineMax()) return Promise.reject(new AppError('unavailable'))
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
    const admittedAt = performance.now()
    onAdmitted(admittedAt - askedAt)
    try {
      return await work()
    } finally {
      latestMs.push(performance.now() - admittedAt)
      if (latestMs.length > latestMax) latestMs.shift()
      leave()
    }
  }

  async function before<T>(work: () => Promise<T>): Promise<T> {
    if (onTheirWay >= atOnce + lineMax()) throw new AppError('unavailable')
    onTheirWay++
    try {
      return await work()
    } finally {
      onTheirWay--
    }
  }

  return Object.assign(admit, { before, load: () => ({ running: inside, waiting: line.length }) })
}
