import type { ErrorCode } from '../errors.ts'

/** What a script may go by: 0 is success, and 1 whatever is not listed here. The README's table is compared with this. */
export const exitCodes = {
  'validation-failed': 2,
  unavailable: 3,
} as const satisfies Partial<Record<ErrorCode, number>>

/** How a command ends that is not understood; the same as for what it was given. */
export const usageExitCode = exitCodes['validation-failed']

export function exitCodeOf(code: ErrorCode): number {
  return (exitCodes as Partial<Record<ErrorCode, number>>)[code] ?? 1
}
