import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import type { Log } from './log.ts'
import { fromRedis, onNode, primariesOf, primaryOf, type Node, type Redis } from './redis.ts'

/** How often each primary is asked whether it still is the one it was. */
const heartbeatMs = 1000
/** For so long after a change of primaries another instance may have gone on writing to the old one. */
const followUpMs = 60_000

export type Continuity = ReturnType<typeof createContinuity>

/**
 * Knows whether Redis still has what was written to it, and has it made good where it may not.
 *
 * Redis replicates asynchronously and may be restored from a copy, so another primary, or one that was started again, may
 * lack the last writes. A primary is known by the run id of its process and the replication id of its history: where
 * either is new, its answers are not believed until what must not be forgotten was written to it again. A connection that
 * breaks puts its primary in doubt until both were compared.
 *
 * @param restore writes again what a primary that was not met before must know, and returns how much that was
 * @param followUp writes again what came in the last moments: whoever had not noticed the change may have confirmed it to
 *   the old primary. Called each second for a minute after a change
 */
export function createContinuity({
  redis,
  restore,
  followUp,
  timeoutMs,
  log,
}: {
  redis: Redis
  restore: () => Promise<number>
  followUp: () => Promise<number>
  /** The longest that {@link Continuity.established} keeps anybody waiting. */
  timeoutMs: number
  log: Log
}) {
  /** The primaries whose answers are believed, each with its identity. */
  const confirmed = new Map<Node, string>()
  const breaks = new WeakMap<Node, number>()
  const examining = new Map<Node, Promise<void>>()
  let lineages = new Set<string>()
  let running: Promise<unknown> = Promise.resolve()
  let next: Promise<void> | undefined
  let followedUpUntil = 0
  let told: string | undefined
  let beating = false

  onNode(redis, (node) => {
    node.on('ready', () => void examine(node).catch(() => undefined))
    node.on('close', () => {
      breaks.set(node, breaksOf(node) + 1)
      confirmed.delete(node)
    })
  })
  const heartbeat = setInterval(() => void beat(), heartbeatMs).unref()

  /** Whether what is said of a key at this moment may be believed; to be asked when the answer is there. */
  function holds(key: string): boolean {
    const node = primaryOf(redis, key)
    return node !== undefined && confirmed.has(node)
  }

  /** Whether that is so of all that Redis says. */
  function isWhole(): boolean {
    const primaries = primariesOf(redis)
    return primaries.length > 0 && primaries.every((node) => confirmed.has(node))
  }

  /**
   * Waits until it {@link holds} for a key, and sees to it that it does.
   *
   * @throws AppError `unavailable` when that takes too long
   */
  async function established(key: string): Promise<void> {
    const node = primaryOf(redis, key)
    if (!node) throw new AppError('unavailable')
    if (confirmed.has(node)) return
    const giveUp = new AbortController()
    const late = delay(timeoutMs, undefined, { ref: false, signal: giveUp.signal }).then(
      () => {
        throw new AppError('unavailable')
      },
      () => undefined,
    )
    await Promise.race([examine(node), late]).finally(() => giveUp.abort())
  }

  async function examine(node: Node): Promise<void> {
    let asked = examining.get(node)
    if (!asked) {
      asked = compare(node).finally(() => examining.delete(node))
      examining.set(node, asked)
    }
    return asked
  }

  async function compare(node: Node): Promise<void> {
    const breaksBefore = breaksOf(node)
    const identity = await identityOf(node)
    if (identity === null) throw new AppError('unavailable')
    if (!lineages.has(identity)) {
      if (lineages.size > 0) followedUpUntil = performance.now() + followUpMs
      await restored()
      if ((await identityOf(node)) !== identity) throw new AppError('unavailable')
    }
    if (breaksOf(node) !== breaksBefore) throw new AppError('unavailable')
    confirmed.set(node, identity)
    // What was met before and is no primary now may have been overtaken, so it is strange when it comes back.
    lineages = new Set(primariesOf(redis).flatMap((one) => confirmed.get(one) ?? []))
  }

  /** Has all written again by a run that begins after this call: an earlier one may have written to who was there then. */
  function restored(): Promise<void> {
    next ??= running.then(() => {
      next = undefined
      const run = runRestore()
      running = run.catch(() => undefined)
      return run
    })
    return next
  }

  async function runRestore(): Promise<void> {
    const startedAt = performance.now()
    try {
      const count = await restore()
      log('redis.replayed', { count, duration_ms: Math.round(performance.now() - startedAt) })
      told = undefined
    } catch (error) {
      const { code, name } = ((error as Error).cause ?? error) as { code?: string; name: string }
      if ((code ?? name) !== told) log('redis.replaying', { error: code ?? name })
      told = code ?? name
      throw error
    }
  }

  /** Looks at each primary, as far as the last look is over; one that stays in doubt is tried again by this. */
  async function beat(): Promise<void> {
    if (beating) return
    beating = true
    await Promise.allSettled(primariesOf(redis).map(lookAt))
    if (performance.now() < followedUpUntil && isWhole()) await followUp().catch(() => undefined)
    beating = false
  }

  async function lookAt(node: Node): Promise<void> {
    const known = confirmed.get(node)
    if (known !== undefined && (await identityOf(node)) !== known) confirmed.delete(node)
    if (!confirmed.has(node)) await examine(node)
  }

  const breaksOf = (node: Node) => breaks.get(node) ?? 0

  /** null for a replica: what it has may be older than what was confirmed. @throws AppError `unavailable` */
  async function identityOf(node: Node): Promise<string | null> {
    const [server, replication] = await fromRedis(Promise.all([node.info('server'), node.info('replication')]))
    const said = (text: string, name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(text)?.[1]
    if (said(replication, 'role') !== 'master') return null
    const [runId, replicationId] = [said(server, 'run_id'), said(replication, 'master_replid')]
    // A server that does not say who it is may be another one after each break.
    return runId && replicationId ? `${runId}/${replicationId}` : `break ${breaksOf(node)}`
  }

  return {
    holds,
    isWhole,
    established,
    stop: () => clearInterval(heartbeat),
  }
}
