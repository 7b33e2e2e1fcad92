/** The token check under full load, beside two references, in interleaved rounds. */
import { enterOurs, oneGetName, type Entrant } from './ours.ts'
import { measureRounds, sessionCount, type RoundOptions, type Variant } from './rounds.ts'
import type { LocalServices, Server, Stage } from './stage.ts'
import type { Spread } from './statistics.ts'

export interface CheckFigures extends RoundOptions {
  tokens: number
  servers: CheckFigure[]
}

export interface CheckFigure {
  name: string
  variant: Variant
  /** Throughput relative to bare Node with one GET, round by round. */
  ratio: Spread
  /** The same of the 99th percentile of the latency. */
  p99Ratio: Spread
}

/** Loads the references and each way in which Latchkey is asked about a token; see {@link measureRounds}. */
export async function measureCheck(
  stage: Stage,
  services: LocalServices,
  servers: { fixed: Server; latchkey: Server },
  options: RoundOptions,
): Promise<CheckFigures> {
  return compare(stage, 'token check', await enterOurs(stage, services, servers), options)
}

/** Loads them in turn and holds them against bare Node with one GET, which is one of them; see {@link measureRounds}. */
export async function compare(
  stage: Stage,
  topic: string,
  entrants: Record<string, Entrant>,
  options: RoundOptions,
): Promise<CheckFigures> {
  const { variantOf, ratio, p99Ratio } = await measureRounds(stage, topic, entrants, options)
  return {
    ...options,
    tokens: sessionCount,
    servers: Object.keys(entrants).map((name) => ({
      name,
      variant: variantOf(name),
      ratio: ratio(name, oneGetName),
      p99Ratio: p99Ratio(name, oneGetName),
    })),
  }
}
