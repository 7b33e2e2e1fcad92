import { AggregatorRegistry, type Registry } from 'prom-client'

/** What the metrics of one process say at one moment, as it goes from one process to another. */
export type Figures = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

/**
 * What several processes that serve as one say together: one text, in which what was counted never goes back.
 *
 * prom-client asks its workers by itself as well, but a scrape fails there when one of them dies meanwhile, and all that
 * it has counted is gone with it, which to Prometheus looks like as many new events.
 */
export function createTally() {
  const latest = new Map<number, Figures>()
  let gone: Promise<Figures> = Promise.resolve([])

  return {
    /** Takes what a process says now; of one that says nothing, null, what it has counted so far still holds. */
    note(pid: number, figures: Figures | null): void {
      latest.set(pid, figures ?? lasting(latest.get(pid) ?? []))
    },

    /** Keeps what a process had counted when it was last asked, and forgets the rest. */
    leave(pid: number): void {
      const [before, figures] = [gone, lasting(latest.get(pid) ?? [])]
      latest.delete(pid)
      gone = before.then((all) => together([all, figures]).getMetricsAsJSON())
    },

    /** The text of a scrape, with what the process that asks has counted itself. */
    async text(own: Figures): Promise<string> {
      const [before, now] = [gone, [...latest.values()]]
      return together([...now, await before, lasting(own)]).metrics()
    },
  }
}

/** Makes the slowest of several processes tell how long their event loops lag, and the oldest since when they serve. */
export function worstOfAll(registry: Registry): void {
  for (const metric of registry.getMetricsAsArray())
    if (/^nodejs_eventloop_lag_(?!min)/.test(metric.name)) metric.aggregator = 'max'
    else if (metric.name === 'process_start_time_seconds') metric.aggregator = 'min'
}

const together = (all: Figures[]) => AggregatorRegistry.aggregate(all)

/** What only grows. */
function lasting(figures: Figures): Figures {
  return figures.filter(({ type }) => ['counter', 'histogram'].includes(type as unknown as string))
}
