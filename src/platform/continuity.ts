import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import type { Log } from './log.ts'
import { fromRedis, onNode, onRoles, primariesOf, primaryOf, type Node, type Redis } from './redis.ts'

/** How often each primary is asked whether it still is the one it was. */
const heartbeatMs = 1000
/** For so long after a change of primaries another instance may go on writing to the one before. */
const followUpMs = 60_000

export type Continuity = ReturnType<typeof createContinuity>

/** Tells Redis again what lies under keys that concern it, and returns how much that changed. */
export type Telling = (concerns: (key: string) => boolean) => Promise<number>

/**
 * Knows whether Redis still has what was written to it, and has it made good where it may not.
 *
 * Redis replicates asynchronously and may be restored from a copy, so another primary, or one that was started again, may
 * lack the last writes. A primary is known by the run id of its process and the replication id of its history: where
 * either is new, its answers are not believed until what must not be forgotten was written to it again. A connection that
 * breaks puts its primary in doubt until both were compared, and so does being a replica for however short a time.
 *
 * @param restore tells a primary that was not met before; where it fails without a cause the time has not come
 * @param followUp tells what came in the last moments: whoever had not noticed the change may have confirmed it to the
 *   primary before. Called each second for a minute after a change; who has just started leaves that to the others
 * @param timeoutMs the longest that {@link Continuity.established} keeps anybody waiting
 */
export function createContinuity({
  redis,
  restore,
  followUp,
  timeoutMs,
  log,
}: {
  redis: Redis
  restore: Telling
  followUp: Telling
  timeoutMs: number
  log: Log
}) {
  /** The primaries whose answers are believed, each with its identity. */
  const confirmed = new Map<Node, string>()
  const breaks = new WeakMap<Node, number>()
  const examining = new Map<Node, Promise<void>>()
  const strange = new Set<Node>()
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
  onRoles(redis, () => {
    const primaries = primariesOf(redis)
    for (const node of confirmed.keys()) if (!primaries.includes(node)) confirmed.delete(node)
  })
  const heartbeat = setInterval(() => void beat(), heartbeatMs).unref()

  /**
   * The server whose word on a key may be believed at this moment, if there is one. An answer counts where it is the same
   * before the question and when the answer is there.
   */
  function sourceOf(key: string): Node | null {
    const node = primaryOf(redis, key)
    return node !== undefined && confirmed.has(node) ? node : null
  }

  /** Whether what a server says of its keys may be believed at this moment. */
  const believes = (node: Node) => confirmed.has(node)

  /** Whether all that Redis says may be believed. */
  function isWhole(): boolean {
    const primaries = primariesOf(redis)
    return primaries.length > 0 && primaries.every((node) => confirmed.has(node))
  }

  /**
   * Waits until there is a {@link sourceOf} for a key, and sees to it that there is.
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
    const isStrange = !lineages.has(identity)
    if (isStrange) {
      // One that the map of the cluster has no keys for yet would be told of none, and be believed when it has them.
      if (!primariesOf(redis).includes(node)) throw new AppError('unavailable')
      if (lineages.size > 0) followedUpUntil = performance.now() + followUpMs
      await restored(node)
      if ((await identityOf(node)) !== identity) throw new AppError('unavailable')
    }
    if (breaksOf(node) !== breaksBefore || !primariesOf(redis).includes(node)) throw new AppError('unavailable')
    confirmed.set(node, identity)
    // What was met before and is no primary now may have been overtaken, so it is strange when it comes back.
    if (isStrange) lineages = new Set(confirmed.values())
  }

  /** Has a server told by a run that begins after this call: an earlier one may have written to who was there then. */
  function restored(node: Node): Promise<void> {
    strange.add(node)
    next ??= running.then(() => {
      next = undefined
      const nodes = [...strange]
      strange.clear()
      const run = runRestore(nodes)
      running = run.catch(() => undefined)
      return run
    })
    return next
  }

  async function runRestore(nodes: Node[]): Promise<void> {
    const startedAt = performance.now()
    try {
      const count = await restore((key) => nodes.includes(primaryOf(redis, key)!))
      log('redis.replayed', { count, duration_ms: Math.round(performance.now() - startedAt) })
      told = undefined
    } catch (error) {
      const { cause } = error as { cause?: { code?: string; name: string } }
      const reason = cause && (cause.code ?? cause.name)
      if (reason !== undefined && reason !== told) log('redis.replaying', { error: reason })
      told = reason
      throw error
    }
  }

  /** Looks at each primary, as far as the last look is over; one that stays in doubt is tried again by this. */
  async function beat(): Promise<void> {
    if (beating) return
    beating = true
    await Promise.allSettled(primariesOf(redis).map(lookAt))
    if (performance.now() < followedUpUntil && confirmed.size > 0)
      await followUp((key) => sourceOf(key) !== null).catch(() => undefined)
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
    sourceOf,
    believes,
    isWhole,
    established,
    /** Looks now and not at the next beat, since it has become possible to tell. */
    look: () => void beat(),
    stop: () => clearInterval(heartbeat),
  }
}
