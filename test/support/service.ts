import { readConfig } from '../../src/config.ts'
import * as source from '../../src/serve.ts'
import { createLog } from '../../src/platform/log.ts'
import { createClient, type ApiClient } from './client.ts'
import { movableClock, type MovableClock } from './clock.ts'
import { databaseUrl, keyPrefix, redisUrl } from './stores.ts'

export interface TestService {
  url: string
  /** Of the internal listener, where OPS_PORT asks for one. */
  opsUrl: string | null
  client: ApiClient
  clock: MovableClock
  /** What was logged so far, one object a line. */
  logged: Record<string, unknown>[]
  /** Settles when the schema is up to date. */
  migrated: Promise<void>
  close: () => Promise<void>
}

/** A path that is a value, so that the sources can be checked before there is a build. */
const buildPath = '../../dist/src/serve.js'
const build = async () => (await import(buildPath)) as typeof source

const open = new Set<TestService>()

/** Closes what a failed test left open. */
export async function closeServices(): Promise<void> {
  await Promise.all([...open].map((service) => service.close()))
}

/** Cheap hashes: the tests hash hundreds of passwords, and none of them is about how long that takes. */
export const cheapHashes = { ARGON2_MEMORY_KIB: '1024', ARGON2_TIME_COST: '2', HASHES_WAITING_MAX: '2000' }

/** The tests register and log in from one address, hundreds of times a minute. */
export const wideLimits = {
  SETTING_LOGINS_PER_ADDRESS_MAX: '1000000',
  SETTING_REGISTRATIONS_PER_ADDRESS_MAX: '1000000',
  SETTING_WRONG_TOKENS_PER_ADDRESS_MAX: '1000000',
  SETTING_MAIL_REQUESTS_PER_ADDRESS_MAX: '1000000',
}

/**
 * Starts the whole service on a free port, from the sources or, with LATCHKEY_UNDER_TEST=build, from the build.
 *
 * @param env variables that differ from those of a test run
 */
export async function startService(
  env: Record<string, string> = {},
  { clock = movableClock() }: { clock?: MovableClock } = {},
): Promise<TestService> {
  const { serve } = process.env['LATCHKEY_UNDER_TEST'] === 'build' ? await build() : source
  const config = readConfig({
    DATABASE_URL: databaseUrl(),
    REDIS_URL: redisUrl(),
    KEY_PREFIX: keyPrefix,
    PORT: '0',
    ...cheapHashes,
    ...wideLimits,
    ...env,
  })
  const logged: Record<string, unknown>[] = []
  const log = createLog('debug', { write: (line) => logged.push(JSON.parse(line) as Record<string, unknown>) })
  const serving = await serve(config, { log, clock })
  if (env['DATABASE_URL'] === undefined) await serving.migrated
  const service: TestService = {
    url: serving.url,
    opsUrl: serving.opsUrl,
    client: createClient(serving.url),
    clock,
    logged,
    migrated: serving.migrated,
    close: async () => {
      open.delete(service)
      await serving.close()
    },
  }
  open.add(service)
  return service
}
