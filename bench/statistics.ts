/** A figure that was taken several times: the middle one, and how far the others lie apart. */
export interface Spread {
  median: number
  min: number
  max: number
}

/** A median, and where the middle half of the samples lies. */
export interface Middle {
  median: number
  lowerQuartile: number
  upperQuartile: number
}

/** @throws Error without any sample */
export function middleOf(samples: readonly number[]): Middle {
  const sorted = samples.toSorted((a, b) => a - b)
  return {
    median: percentileOf(sorted, 50),
    lowerQuartile: percentileOf(sorted, 25),
    upperQuartile: percentileOf(sorted, 75),
  }
}

/**
 * The median of samples and the interval in which the median of all that could be drawn lies, with 95 % confidence.
 *
 * It is read off the ranks (the sign test turned round, with the normal form of the binomial distribution), so it asks
 * nothing of how the samples are spread, and one that is far off does no harm. It needs some dozens of them.
 *
 * @throws Error without any sample
 */
export function medianWithin(samples: readonly number[]): { median: number; low: number; high: number } {
  const sorted = samples.toSorted((a, b) => a - b)
  const half = (1.96 * Math.sqrt(sorted.length)) / 2
  const low = Math.max(0, Math.floor(sorted.length / 2 - half) - 1)
  return { median: percentileOf(sorted, 50), low: sorted[low]!, high: sorted[sorted.length - 1 - low]! }
}

/** @throws Error without any sample, for there is nothing to say then */
export function spreadOf(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b)
  return { median: percentileOf(sorted, 50), min: sorted[0]!, max: sorted.at(-1)! }
}

/** The nearest-rank percentile of samples that are already in ascending order; the median of an even number is between. */
export function percentileOf(sorted: readonly number[], percent: number): number {
  if (sorted.length === 0) throw new Error('there is no sample')
  const half = sorted.length / 2
  if (percent === 50 && Number.isInteger(half)) return (sorted[half - 1]! + sorted[half]!) / 2
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!
}

/** A straight line through points, by least squares. */
export interface Line {
  slope: number
  /**
   * Two standard errors of the slope. Points beside each other are alike where something swings slowly, so of `n` of them
   * count `n (1 - r) / (1 + r)`, `r` being the share of a miss that the next one repeats (Santer and others 2000).
   */
  slopeWithin: number
}

/** @throws Error with less than three points: two are always on a line */
export function lineThrough(points: readonly (readonly [x: number, y: number])[]): Line {
  const count = points.length
  if (count < 3) throw new Error('a line needs three points')
  const mean = (of: (point: readonly [number, number]) => number) => points.reduce((sum, p) => sum + of(p), 0) / count
  const [middleX, middleY] = [mean(([x]) => x), mean(([, y]) => y)]
  const spreadX = points.reduce((sum, [x]) => sum + (x - middleX) ** 2, 0)
  const slope = points.reduce((sum, [x, y]) => sum + (x - middleX) * (y - middleY), 0) / spreadX
  const misses = points.map(([x, y]) => y - middleY - slope * (x - middleX))
  const missed = misses.reduce((sum, miss) => sum + miss ** 2, 0)
  if (missed === 0) return { slope, slopeWithin: 0 }
  const repeated = misses.slice(1).reduce((sum, miss, i) => sum + miss * misses[i]!, 0) / missed
  const alike = Math.max(repeated, 0)
  return { slope, slopeWithin: 2 * Math.sqrt((missed / (count - 2) / spreadX) * ((1 + alike) / (1 - alike))) }
}
