import { ConfigError, readConfig } from './config.ts'
import { lowerPoolPriority } from './platform/pool-priority.ts'
import { serveUntilSignal } from './workers.ts'

/** What libuv takes when it is not told, and what it takes at most. */
const poolSizeInitial = 4
const poolSizeMax = 1024

try {
  await lowerPoolPriority(Math.min(Number(process.env['UV_THREADPOOL_SIZE']) || poolSizeInitial, poolSizeMax))
  await serveUntilSignal(readConfig(process.env))
  process.exit(0)
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : `Latchkey could not start: ${(error as Error).message}`)
  process.exit(1)
}
