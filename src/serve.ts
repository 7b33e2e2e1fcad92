import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from './config.ts'
import { createApp, createOpsApp, listen, type Listener } from './http/index.ts'
import { createMetrics } from './metrics/index.ts'
import type { Clock } from './platform/clock.ts'
import { createLog, type Log } from './platform/log.ts'
import { createServices } from './services.ts'

export interface Serving {
  url: string
  /** Of the internal listener, if there is one. */
  opsUrl: string | null
  /** Settles when the schema is up to date, or the service stops; until then it answers, but is not ready. */
  migrated: Promise<void>
  close(): Promise<void>
}

const migrationRetryMs = 1000
/** The public listener and the stores may have taken most of the ten seconds there are for a stop. */
const opsDrainMaxMs = 500

/**
 * Starts the API: listens at once, and becomes ready by itself when the stores are there and migrated.
 *
 * @throws Error when an address cannot be listened on
 */
export async function serve(
  config: Config,
  { log: uncounted = createLog(config.logLevel), clock }: { log?: Log; clock?: Clock } = {},
): Promise<Serving> {
  const stopping = new AbortController()
  const metrics = config.ops ? createMetrics() : undefined
  const log = metrics ? metrics.counting(uncounted) : uncounted
  const services = createServices(config, { log, metrics, ...(clock && { clock }) })
  const around = { services, stopping: () => stopping.signal.aborted }
  let listener: Listener
  let ops: Listener | undefined
  try {
    listener = await listen(createApp({ ...around, log }), config)
    if (config.ops && metrics) {
      const app = createOpsApp({ ...around, log: uncounted, metrics })
      ops = await listen(app, config.ops).catch(async (error: Error) => {
        await listener.close()
        throw new Error(`the internal listener (OPS_HOST, OPS_PORT): ${error.message}`, { cause: error })
      })
    }
  } catch (error) {
    await services.close()
    throw error
  }
  log('service.started', { address: listener.url })
  if (ops) log('ops.started', { address: ops.url })

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

  const migrated = migrateWhenPossible()
  return {
    url: listener.url,
    opsUrl: ops?.url ?? null,
    migrated,
    async close() {
      log('service.stopping')
      stopping.abort()
      await Promise.all([listener.close(), migrated, services.bulletin.stop(), services.mail.stop()])
      await services.close()
      await ops?.close(opsDrainMaxMs)
      log('service.stopped')
    },
  }
}

/**
 * Serves until SIGTERM or SIGINT has come and everything is closed.
 *
 * @throws Error when an address cannot be listened on
 */
export async function serveUntilSignal(config: Config): Promise<void> {
  const serving = await serve(config)
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve())
  })
  await serving.close()
}
