import { setTimeout as delay } from 'node:timers/promises'
import { choose } from '../../support/faults.ts'
import type { Proxy } from '../../support/proxy.ts'
import type { Recorder } from './recorder.ts'
import type { Content, Stage } from './stage.ts'

type Chance = () => number

/** How often each kind of harm was done. */
export type Harms = Map<string, number>

const holdMs = { from: 150, to: 1200 }
const calmMs = { from: 300, to: 900 }

const between = ({ from, to }: { from: number; to: number }, chance: Chance) => from + chance() * (to - from)

/** What an older copy of Redis has missed at least, unless that takes too long. */
const endingsMissed = 4
const endingsAwaitedMs = 5000

/** Copies Redis, waits until sessions have ended, and puts the copy in its place. */
export async function forget(stage: Stage, recorder: Recorder): Promise<void> {
  let copy: Content = []
  await recorder.harm({ what: 'copy' }, async () => (copy = await stage.copyRedis()))
  const [missed, endsAt] = [recorder.endings() + endingsMissed, performance.now() + endingsAwaitedMs]
  while (recorder.endings() < missed && performance.now() < endsAt) await delay(20)
  await recorder.harm({ what: 'older copy' }, () => stage.replaceRedis(copy))
}

/**
 * Harms the stage, one thing after the other, until it is told to stop; then everything is well again.
 *
 * What a proxy has swallowed, lost or held back breaks off the connections when it ends: a network loses no bytes in the
 * middle of a connection, and brings none out of their order.
 */
export async function runNemesis(
  stage: Stage,
  recorder: Recorder,
  { chance, isOver }: { chance: Chance; isOver: () => boolean },
): Promise<Harms> {
  const harms: Harms = new Map()
  let restarting: Promise<void> = Promise.resolve()
  let isRestarting = false

  async function proxied(): Promise<string> {
    const [store, kind] = [
      choose(['redis', 'postgres'] as const, chance),
      choose(['refuse', 'swallow', 'delay', 'delay', 'lose-replies', 'cut'] as const, chance),
    ]
    const hit = chance() < 0.7 ? [choose(stage.instances, chance)] : stage.instances
    const proxies: Proxy[] = hit.map((instance) => instance[store])
    if (kind === 'cut') for (const proxy of proxies) proxy.cut()
    else {
      const fault =
        kind === 'delay' ? { kind, eachWayMs: Math.round(between({ from: 20, to: 200 }, chance)) } : { kind }
      for (const proxy of proxies) proxy.begin(fault)
      await delay(between(holdMs, chance))
      for (const proxy of proxies) {
        proxy.cut()
        proxy.heal()
      }
    }
    return `${kind} ${store}`
  }

  async function paused(): Promise<string> {
    const isRedis = chance() < 0.5
    const store = isRedis ? stage.redis() : stage.postgres
    store.pause()
    await delay(between(holdMs, chance))
    store.resume()
    return isRedis ? 'pause redis' : 'pause postgres'
  }

  async function killedRedis(): Promise<string> {
    const redis = stage.redis()
    await redis.kill()
    await delay(chance() * 300)
    await redis.start()
    return 'kill redis'
  }

  /** Its start takes seconds; meanwhile other things go wrong too. */
  async function killedInstance(): Promise<string> {
    if (isRestarting) return proxied()
    isRestarting = true
    const victim = stage.instances.find(({ restart }) => restart)!
    restarting = victim.restart!().finally(() => (isRestarting = false))
    await delay(between(calmMs, chance))
    return 'kill instance'
  }

  async function olderCopy(): Promise<string> {
    await forget(stage, recorder)
    return 'older copy'
  }

  async function flushed(): Promise<string> {
    await recorder.harm({ what: 'flush' }, () => stage.redis().operator().flushall())
    return 'flush redis'
  }

  const choices = [
    ...Array.from({ length: 14 }, () => proxied),
    ...Array.from({ length: 3 }, () => paused),
    ...Array.from({ length: 2 }, () => killedRedis),
    ...Array.from({ length: 2 }, () => killedInstance),
    ...Array.from({ length: 4 }, () => olderCopy),
    flushed,
  ]
  while (!isOver()) {
    await delay(between(calmMs, chance))
    const kind = await choose(choices, chance)()
    harms.set(kind, (harms.get(kind) ?? 0) + 1)
  }
  await restarting
  return harms
}
