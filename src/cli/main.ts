#!/usr/bin/env node
import { CommanderError } from 'commander'
import { ConfigError, readConfig } from '../config.ts'
import { AppError, type ErrorCode } from '../errors.ts'
import { createLog } from '../platform/log.ts'
import { createServices } from '../services.ts'
import type { Context } from './context.ts'
import { exitCodeOf, usageExitCode } from './exit-codes.ts'
import { createProgram } from './program.ts'

/** The operator's command line: the same doors as HTTP, also while the API is down. */

const sentences: Partial<Record<ErrorCode, string>> = {
  'not-found': 'There is no such person, or no such session.',
  'email-taken': 'This e-mail address has an account already.',
  'username-taken': 'This username is taken.',
  'last-admin': 'This is the last admin. Make somebody else an admin first.',
}

/** Of a command, for an answer of a store: nobody's request waits behind it, and the machine may be at its limit. */
const patienceMs = 10_000

const config = () => readConfig(process.env)

const context: Context = {
  config,
  async run(command) {
    process.exitCode = await command()
  },
  async withServices(command) {
    const { redisTimeoutMs, databaseTimeoutMs, ...rest } = config()
    const services = createServices(
      {
        ...rest,
        redisTimeoutMs: Math.max(redisTimeoutMs, patienceMs),
        databaseTimeoutMs: Math.max(databaseTimeoutMs, patienceMs),
      },
      { log: createLog('silent') },
    )
    try {
      await Promise.all([services.settings.reread(), services.connected()])
      process.exitCode = await command(services)
    } finally {
      await services.close()
    }
  },
}

// Whoever reads what is printed may have read enough, as `| head` has.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

try {
  await createProgram(context).parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : usageExitCode
  else {
    console.error(sentenceFor(error))
    process.exitCode = error instanceof AppError ? exitCodeOf(error.code) : 1
  }
}

function sentenceFor(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  if (error instanceof AppError && error.code === 'unavailable')
    return 'PostgreSQL or Redis does not answer, or the migrations have not run. Try again later.'
  if (error instanceof AppError && error.faults)
    return error.faults.map(({ member, detail }) => `${member} ${detail}.`).join('\n')
  if (error instanceof AppError && error.code in sentences) return sentences[error.code]!
  return error instanceof Error ? `It did not work: ${error.message}` : 'It did not work.'
}
