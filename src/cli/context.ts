import type { Config } from '../config.ts'
import type { Services } from '../services.ts'

/** What a command runs in: the environment of the service, and its exit code. */
export interface Context {
  /** @throws ConfigError */
  config: () => Config
  /** Runs a command that makes its own connections. */
  run: (command: () => Promise<number>) => Promise<void>
  /** Runs a command on the stores, by the settings that hold now, and leaves none of the connections open. */
  withServices: (command: (services: Services) => Promise<number>) => Promise<void>
}

/** The lines below the help of a command: what somebody would type, and what for. */
export function examples(...lines: [typed: string, what: string][]): string {
  const width = Math.max(...lines.map(([typed]) => typed.length))
  const list = lines.map(([typed, what]) => `  $ latchkey ${typed.padEnd(width)}  # ${what}`)
  return ['', 'Examples:', ...list].join('\n')
}
