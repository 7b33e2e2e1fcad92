/** A figure that was taken several times: the middle one, and how far the others lie apart. */
export interface Spread {
  median: number
  min: number
  max: number
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
