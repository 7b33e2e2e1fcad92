import { AppError } from '../errors.ts'

/** Who is told of what becomes of those who ask. */
export interface Onlookers {
  /** How long each piece of work that was let in has waited, in milliseconds. */
  onAdmitted?: ((waitedMs: number) => void) | undefined
  /** That somebody was turned away; once a minute at most, since a crowd is turned away all at once. */
  onCrowded?: (() => void) | undefined
}

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

/**
 * How many may see to what comes before their work while those ahead of them are at it: enough that the work need not
 * wait for them, and so few that a crowd does not do all of that at once.
 */
const aheadMax = 2
/** Who takes longer over that, as when a store is slow, lets the next come near: the work must not wait for a store. */
const approachMaxMs = 25

const crowdToldEveryMs = 60_000

/** To turn somebody away takes a small part of what it takes to begin, so more may leave in one turn of the event loop. */
const leavingAtOnce = 8

export type Run = <T>(work: () => Promise<T>) => Promise<T>

export interface Admit extends Run {
  /**
   * Waits for one's turn to begin: a crowd that comes at one moment begins bit by bit.
   *
   * Once there is no room, those who are left have their turn sooner, to hear it.
   *
   * @throws AppError `unavailable` when as many are on their way already as will get a place
   */
  mustHaveRoom: () => Promise<void>
  /** Does what leads to a piece of work, and then the piece, by the function that it is given, when its turn is near. */
  before: <T>(approach: (run: Run) => Promise<T>) => Promise<T>
  /** How many pieces run and how many wait, at this moment. */
  load: () => { running: number; waiting: number }
}

/**
 * Lets so many pieces of costly work run at once, a short line wait, and turns the rest away.
 *
 * Hashing takes a core and a thread of the pool for some 20 ms, and the pool is everybody's. With a core left free, a
 * storm of logins makes logins wait, and token checks do not notice. Whoever would wait too long, by what a piece has
 * taken of late, is turned away at once and not after the wait; and, with `before`, ahead of all that a login costs
 * besides its hash. The others wait in one line ahead of that too.
 *
 * @throws AppError `unavailable`, at once when the line is full or too slow, or when a place was not free in time
 */
export function createAdmission(
  { atOnce, waitingMax }: AdmissionBounds,
  { onAdmitted = () => undefined, onCrowded = () => undefined }: Onlookers = {},
): Admit {
  const approach = createGate(atOnce + aheadMax, refusal)
  const work = createGate(atOnce, refusal)
  const turn = createTurns(() => (isFull() ? Math.max(atOnce + 1, leavingAtOnce) : atOnce + 1))
  const latestMs: number[] = []
  let placesMax = atOnce + waitingMax
  let onTheirWay = 0
  let crowdToldAt = Number.NEGATIVE_INFINITY

  const isFull = () => onTheirWay >= placesMax

  function refusal(): AppError {
    const now = performance.now()
    if (now - crowdToldAt >= crowdToldEveryMs) {
      crowdToldAt = now
      onCrowded()
    }
    return new AppError('unavailable', { isLogged: true })
  }

  /** Lets no more wait than will have had their turn in time. */
  function noteDuration(durationMs: number): void {
    latestMs.push(durationMs)
    if (latestMs.length > latestMax) latestMs.shift()
    const usualMs = latestMs.toSorted((one, other) => one - other)[latestMs.length >> 1]!
    placesMax = atOnce + Math.min(waitingMax, Math.floor((expectedWaitMaxMs / usualMs) * atOnce))
  }

  async function mustHaveRoom(): Promise<void> {
    await turn()
    if (isFull()) throw refusal()
  }

  async function before<T>(lead: (run: Run) => Promise<T>): Promise<T> {
    if (isFull()) throw refusal()
    onTheirWay++
    try {
      const askedAt = performance.now()
      const nearing = approach.enter()
      if (nearing) await nearing
      return await nearby(performance.now() - askedAt, lead)
    } finally {
      onTheirWay--
    }
  }

  async function nearby<T>(waitedMs: number, lead: (run: Run) => Promise<T>): Promise<T> {
    let isNear = true
    const makeRoom = () => {
      if (isNear) approach.leave()
      isNear = false
    }
    const timer = setTimeout(makeRoom, approachMaxMs)
    try {
      return await lead(async (piece) => {
        clearTimeout(timer)
        const readyAt = performance.now()
        const placed = work.enter()
        if (placed) await placed
        const startedAt = performance.now()
        onAdmitted(waitedMs + startedAt - readyAt)
        try {
          return await piece()
        } finally {
          noteDuration(performance.now() - startedAt)
          work.leave()
          makeRoom()
        }
      })
    } finally {
      clearTimeout(timer)
      makeRoom()
    }
  }

  const admit: Run = (piece) => before((run) => run(piece))
  const load = () => ({ running: work.inside(), waiting: approach.waiting() + work.waiting() })
  return Object.assign(admit, { mustHaveRoom, before, load })
}

/**
 * Lets so many of a crowd go on in each turn of the event loop: what came meanwhile, as a token check, has the rest. Of a
 * very large crowd it is a hundredth, so that the last of it begins soon too, and hears that there is no room.
 */
function createTurns(perTurnMax: () => number): () => Promise<void> {
  const line: (() => void)[] = []

  function begin(): void {
    for (const go of line.splice(0, Math.max(perTurnMax(), Math.ceil(line.length / 100)))) go()
    if (line.length > 0) setImmediate(begin)
  }

  return () =>
    new Promise((resolve) => {
      if (line.push(resolve) === 1) setImmediate(begin)
    })
}

/** So many places, and a line before them in which nobody stands for longer than {@link waitMaxMs}. */
function createGate(places: number, refusal: () => AppError) {
  const line: { enter: () => void; timer: NodeJS.Timeout }[] = []
  let inside = 0

  /** Takes a place, at once or when it is one's turn. @throws AppError `unavailable` when that has not come in time */
  function enter(): Promise<void> | undefined {
    if (inside < places) {
      inside++
      return undefined
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        line.splice(line.indexOf(waiter), 1)
        reject(refusal())
      }, waitMaxMs)
      const waiter = { enter: resolve, timer }
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

  return { enter, leave, inside: () => inside, waiting: () => line.length }
}
