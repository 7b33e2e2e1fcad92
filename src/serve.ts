import { setTimeout as delay } from 'node:timers/promises'
import { migrationSource } from '../migrations/index.ts'
import type { Config } from './config.ts'
import { createApp, listen } from './http/index.ts'
import type { Clock } from './platform/clock.ts'
import { createLog, type Log } from './platform/log.ts'
import { migrate } from './platform/migrate.ts'
import { createServices } from './services.ts'

export interface Serving {
  url: string
  /** Settles when the schema is up to date, or the service stops; until then it answers, but is not ready. */
  migrated: Promise<void>
  close(): Promise<void>
}

const migrationRetryMs = 1000

/**
 * Starts the API: listens at once, and becomes ready by itself when the stores are there and migrated.
 *
 * @throws Error when the address cannot be listened on
 */
export async function serve(
  config: Config,
  { log = createLog(config.logLevel), clock }: { log?: Log; clock?: Clock } = {},
): Promise<Serving> {
  const stopping = new AbortController()
  const services = createServices(config, { log, ...(clock && { clock }) })
  const app = createApp({ services, log, stopping: () => stopping.signal.aborted })
  const listener = await listen(app, config).catch(async (error: unknown) => {
    await services.close()
    throw error
  })
  log('service.started', { address: listener.url })

  async function migrateWhenPossible(): Promise<void> {
    const { signal } = stopping
    let told: string | undefined
    while (!signal.aborted) {
      try {
        log('migrations.done', { count: await migrate(config.databaseUrl, migrationSource, { signal }) })
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
    migrated,
    async close() {
      log('service.stopping')
      stopping.abort()
      await Promise.all([listener.close(), migrated, services.bulletin.stop()])
      await services.close()
      log('service.stopped')
    },
  }
}
