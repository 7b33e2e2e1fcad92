import { ConfigError, readConfig } from './config.ts'
import { serve } from './serve.ts'

try {
  const serving = await serve(readConfig(process.env))
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (stopping) return
      stopping = true
      void serving.close().then(() => process.exit(0))
    })
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : `Latchkey could not start: ${(error as Error).message}`)
  process.exit(1)
}
