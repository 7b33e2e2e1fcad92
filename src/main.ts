import { ConfigError, readConfig } from './config.ts'
import { lowerPoolPriority } from './platform/pool-priority.ts'
import { serveUntilSignal } from './workers.ts'

/** What libuv takes when it is not told. */
const poolSizeInitial = 4

try {
  await lowerPoolPriority(Number(process.env['UV_THREADPOOL_SIZE']) || poolSizeInitial)
  await serveUntilSignal(readConfig(process.env))
  process.exit(0)
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : `Latchkey could not start: ${(error as Error).message}`)
  process.exit(1)
}
