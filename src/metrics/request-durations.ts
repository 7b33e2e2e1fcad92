import type { Registry } from 'prom-client'

/** One combination of labels. */
interface Series {
  labels: Record<string, string>
  /** How many fell into each bucket; the last one has no bound. */
  counts: number[]
  sumSeconds: number
}

/** What a registry of prom-client wants of a metric; its types name the classes that it has, not this. */
type Registered = Parameters<Registry['registerMetric']>[0]

/**
 * A histogram of how long requests took, which a registry of prom-client serves like its own.
 *
 * Its own makes a text of the labels at each observation and looks for that, which was most of what metrics cost a token
 * check (figures: bench/README.md). Here a series is found by the labels as they are, and adds up.
 */
export function createRequestDurations(
  registry: Registry,
  { name, help, buckets }: { name: string; help: string; buckets: readonly number[] },
) {
  /** By method, then by route, then by class of status. */
  const series = new Map<string, Map<string, Series[]>>()

  function seriesOf(method: string, route: string, statusClass: number): Series {
    let ofMethod = series.get(method)
    if (!ofMethod) series.set(method, (ofMethod = new Map()))
    let ofRoute = ofMethod.get(route)
    if (!ofRoute) ofMethod.set(route, (ofRoute = []))
    return (ofRoute[statusClass] ??= {
      labels: { method, route, status: `${statusClass}xx` },
      counts: Array<number>(buckets.length + 1).fill(0),
      sumSeconds: 0,
    })
  }

  const figuresOf = ({ labels, counts, sumSeconds }: Series) => {
    let countSoFar = 0
    const upTo = counts.map((count, i) => ({
      metricName: `${name}_bucket`,
      labels: { le: buckets[i] ?? '+Inf', ...labels },
      value: (countSoFar += count),
    }))
    return [
      ...upTo,
      { metricName: `${name}_sum`, labels, value: sumSeconds },
      { metricName: `${name}_count`, labels, value: countSoFar },
    ]
  }

  const allFigures = () =>
    [...series.values()].flatMap((ofMethod) =>
      [...ofMethod.values()].flatMap((ofRoute) => Object.values(ofRoute).flatMap(figuresOf)),
    )
  const description = { name, help, type: 'histogram', aggregator: 'sum' }
  const metric = { ...description, get: async () => ({ ...description, values: allFigures() }) }
  registry.registerMetric(metric as unknown as Registered)

  return {
    observe(method: string, route: string, status: number, seconds: number): void {
      const one = seriesOf(method, route, Math.floor(status / 100))
      let i = 0
      while (i < buckets.length && seconds > buckets[i]!) i += 1
      one.counts[i] = one.counts[i]! + 1
      one.sumSeconds += seconds
    },
  }
}
