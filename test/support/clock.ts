import type { Clock } from '../../src/platform/clock.ts'

export interface MovableClock extends Clock {
  /** Moves the time on. */
  pass(duration: { seconds?: number; minutes?: number; hours?: number; days?: number }): void
}

/** A clock that stands still until a test moves it on, in milliseconds since 1970. */
export function movableClock(now = Date.now()): MovableClock {
  return {
    now: () => now,
    pass({ seconds = 0, minutes = 0, hours = 0, days = 0 }) {
      now += (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000
    },
  }
}
