/** The time, as an argument: what lives and expires asks it, so a test can move a session through thirty days. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }
