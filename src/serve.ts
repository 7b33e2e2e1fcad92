import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from './config.ts'
import { createApp, createOpsApp, listen, type Listener } from './http/index.ts'
import { createMetrics, type Metrics } from './metrics/index.ts'
import type { Clock } from './platform/clock.ts'
import { createLog, type Log } from './platform/log.ts'
import { isReady, type Readiness } from './platform/readiness.ts'
import { createServices } from './services.ts'

export interface Serving {
  url: string
  /** Of the internal listener, if there is one. */
  opsUrl: string | null
  /** Settles when the schema is up to date, or the service stops; until then it answers, but is not ready. */
  migrated: Promise<void>
  readiness: Readiness
  close(): Promise<void>
}

const migrationRetryMs = 1000
const readinessPollMs = 100
/** The public listener and the stores may have taken most of the ten seconds there are for a stop. */
const opsDrainMaxMs = 500

/**
 * Starts the API: listens at once, and becomes ready by itself when the stores are there and migrated.
 *
 * Metrics that are given are counted in, and served by whoever gives them. One of several processes behind a port has
 * `patienceMs` to become ready before it listens, because connections come to it from then on.
 *
 * @throws Error when an address cannot be listened on
 */
export async function serve(
  config: Config,
  {
    log: uncounted = createLog(config.logLevel),
    clock,
    metrics = config.ops ? createMetrics() : undefined,
    patienceMs = 0,
  }: { log?: Log; clock?: Clock; metrics?: Metrics | undefined; patienceMs?: number } = {},
): Promise<Serving> {
  const stopping = new AbortController()
  const log = metrics ? metrics.counting(uncounted) : uncounted
  const services = createServices(config, { log, metrics, ...(clock && { clock }) })
  const { readiness } = services
  const isStopping = () => stopping.signal.aborted
  async function migrateWhenPossible(): Promise<void> {
    const { signal } = stopping
    let told: string | undefined
    while (!signal.aborted) {
      try {
        log('migrations.done', { count: await services.schema.migrate(signal) })
        await services.settings.noteStartValues()
        await services.bulletin.start()
        if (signal.aborted) return
        services.markMigrated()
        services.mail.start()
        return
      } catch (error) {
        if (signal.aborted) return
        const reason = (error as { code?: string }).code ?? (error as Error).name
        if (reason !== told) log('migrations.waiting', { error: reason })
        told = reason
        await delay(migrationRetryMs, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  async function untilReady(signal: AbortSignal): Promise<void> {
    await migrated
    while (!signal.aborted && !isReady(await readiness()))
      await delay(readinessPollMs, undefined, { signal }).catch(() => undefined)
  }

  const migrated = migrateWhenPossible()
  let listener: Listener | undefined
  let ops: Listener | undefined
  try {
    if (patienceMs > 0) await within(patienceMs, untilReady)
    listener = await listen(createApp({ services, log, stopping: isStopping }), config)
    log('service.started', { address: listener.url })
    if (config.ops && metrics)
      ops = await serveInternally(config.ops, { readiness, metrics, log: uncounted, stopping: isStopping })
  } catch (error) {
    stopping.abort()
    await Promise.all([listener?.close(), migrated, services.bulletin.stop()])
    await services.close()
    throw error
  }

  return {
    url: listener.url,
    opsUrl: ops?.url ?? null,
    migrated,
    readiness,
    async close() {
      log('service.stopping')
      stopping.abort()
      await Promise.all([listener.close(), migrated, services.bulletin.stop(), services.mail.stop()])
      await services.close()
      await ops?.close()
      log('service.stopped')
    },
  }
}

/**
 * Starts the internal listener.
 *
 * @throws Error naming its variables when its address cannot be listened on
 */
export async function serveInternally(
  { host, port }: { host: string; port: number },
  around: Parameters<typeof createOpsApp>[0],
): Promise<Listener> {
  const ops = await listen(createOpsApp(around), { host, port }).catch((error: Error) => {
    throw new Error(`the internal listener (OPS_HOST, OPS_PORT): ${error.message}`, { cause: error })
  })
  around.log('ops.started', { address: ops.url })
  return { url: ops.url, close: () => ops.close(opsDrainMaxMs) }
}

/** Waits for something, but not longer than this. */
async function within(maxMs: number, work: (tooLate: AbortSignal) => Promise<void>): Promise<void> {
  const tooLate = AbortSignal.timeout(maxMs)
  await Promise.race([work(tooLate), once(tooLate, 'abort')])
}
