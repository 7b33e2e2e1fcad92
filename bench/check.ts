/** The token check under full load, between two references, in interleaved rounds. */
import type { Service } from '../dev/stores.ts'
import {
  ask,
  measureRounds,
  sessionCount,
  withBearer,
  type Contender,
  type RoundOptions,
  type Variant,
} from './rounds.ts'
import { openSession, type LocalServices, type Stage } from './stage.ts'
import type { Spread } from './statistics.ts'

export type VariantName = 'a' | 'b' | 'c'

export interface CheckFigures extends RoundOptions {
  tokens: number
  variants: Record<VariantName, Variant>
  /** Throughput relative to (b), round by round. */
  ratios: Record<'a' | 'c', Spread>
}

/** Loads the references and Latchkey's token check; see {@link measureRounds}. */
export async function measureCheck(
  stage: Stage,
  services: LocalServices,
  { fixed, latchkey }: { fixed: Service; latchkey: Service },
  options: RoundOptions,
): Promise<CheckFigures> {
  const requests = await Promise.all(
    Array.from({ length: sessionCount }, async () => withBearer((await openSession(services)).pair.accessToken)),
  )
  const contenders: Record<VariantName, Contender> = {
    a: { server: fixed, path: '/', requests },
    b: { server: await stage.startOneGet(), path: '/', requests },
    c: { server: latchkey, path: '/v1/protected', requests },
  }
  await mustTellTokensApart(contenders)

  const { variantOf, ratio } = await measureRounds(stage, 'token check', contenders, options)
  return {
    ...options,
    tokens: sessionCount,
    variants: { a: variantOf('a'), b: variantOf('b'), c: variantOf('c') },
    ratios: { a: ratio('a', 'b'), c: ratio('c', 'b') },
  }
}

/** A server that says yes to everybody would be fast, and prove nothing. */
async function mustTellTokensApart(contenders: Record<VariantName, Contender>): Promise<void> {
  const foreign = withBearer('not-a-token')
  const cases = [
    ['a', contenders.a.requests[0]!, 200],
    ['b', contenders.b.requests[0]!, 200],
    ['b', foreign, 401],
    ['c', contenders.c.requests[0]!, 200],
    ['c', foreign, 401],
  ] as const
  for (const [name, request, expected] of cases) {
    const { status } = await ask(contenders[name], request)
    if (status !== expected) throw new Error(`(${name}) answered ${status} where ${expected} is right`)
  }
}
