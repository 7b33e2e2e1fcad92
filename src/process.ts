import { ConfigError, readConfig } from './config.ts'
import { serveUntilSignal } from './workers.ts'

/** Is the service as a process: the environment in, an exit code out. */
export async function runProcess(): Promise<never> {
  try {
    await serveUntilSignal(readConfig(process.env))
    process.exit(0)
  } catch (error) {
    console.error(
      error instanceof ConfigError ? error.message : `Latchkey could not start: ${(error as Error).message}`,
    )
    process.exit(1)
  }
}
