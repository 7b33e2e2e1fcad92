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
  /** Settles when the schema is up to date; until then the service answers, but is not ready. */
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
  const state = { stopping: false }
  const services = createServices(config, { log, ...(clock && { clock }) })
  const app = createApp({ services, log, stopping: () => state.stopping })
  const listener = await listen(app, config).catch(async (error: unknown) => {
    await services.close()
    throw error
  })
  log('service.started', { address: listener.url })

  async function migrateWhenPossible(): Promise<void> {
    while (!state.stopping) {
      try {
        log('migrations.done', { count: await migrate(config.databaseUrl, migrationSource) })
        services.markMigrated()
        return
      } catch (error) {
        log('migrations.waiting', { error: (error as { code?: string }).code ?? (error as Error).name })
        await delay(migrationRetryMs)
      }
    }
  }

  const migrated = migrateWhenPossible()
  return {
    url: listener.url,
    migrated,
    async close() {
      state.stopping = true
      log('service.stopping')
      await listener.close()
      await migrated
      await services.close()
      log('service.stopped')
    },
  }
}
