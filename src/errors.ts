/** The closed list of what can go wrong for a caller; http/problems.ts gives each its status and sentence. */
export const errorCodes = [
  'validation-failed',
  'password-refused',
  'malformed-request',
  'authentication-required',
  'invalid-token',
  'invalid-credentials',
  'invalid-refresh-token',
  'invalid-reset-token',
  'invalid-token-link',
  'invalid-client',
  'registration-closed',
  'wrong-password',
  'email-unverified',
  'forbidden',
  'not-found',
  'method-not-allowed',
  'request-timeout',
  'email-taken',
  'username-taken',
  'last-admin',
  'payload-too-large',
  'uri-too-long',
  'unsupported-media-type',
  'too-many-attempts',
  'headers-too-large',
  'internal-error',
  'unavailable',
] as const

export type ErrorCode = (typeof errorCodes)[number]

/** One invalid member of what was asked, and what would be right. Never quotes the value. */
export interface Fault {
  member: string
  /** Where it is in the body, when it was found there; otherwise http/ makes a pointer of the member's name. */
  pointer?: string
  detail: string
}

/**
 * A refusal with a public code.
 *
 * `reason`, `faults`, `checks` and `retryAfterSeconds` reach the caller; `cause` and `isLogged` are for the log alone.
 */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly reason: string | undefined
  readonly faults: readonly Fault[] | undefined
  /** For readiness: what each part says. */
  readonly checks: Readonly<Record<string, string>> | undefined
  /** For `too-many-attempts`: when it makes sense to try again. */
  readonly retryAfterSeconds: number | undefined
  /** For `unavailable`: the log has a line of its own about what is behind it, which is no failure of a store. */
  readonly isLogged: boolean

  constructor(
    code: ErrorCode,
    told: {
      reason?: string
      faults?: readonly Fault[]
      checks?: Readonly<Record<string, string>>
      retryAfterSeconds?: number
      isLogged?: boolean
      cause?: unknown
    } = {},
  ) {
    super(code, told.cause === undefined ? undefined : { cause: told.cause })
    this.code = code
    this.reason = told.reason
    this.faults = told.faults
    this.checks = told.checks
    this.retryAfterSeconds = told.retryAfterSeconds
    this.isLogged = told.isLogged ?? false
  }
}
