import type { AppError, ErrorCode } from '../errors.ts'

interface ProblemKind {
  status: number
  title: string
  /** What the caller may do next; the same for everybody. */
  detail: string
}

/** Every error code with its status and words; the compiler sees to it that none is missing. */
export const problemKinds = {
  'validation-failed': {
    status: 400,
    title: 'Some members are not valid',
    detail: 'Correct the members named in errors and send the request again.',
  },
  'password-refused': {
    status: 400,
    title: 'This password cannot be used',
    detail: 'Choose another password; errors tells what it must be like.',
  },
  'malformed-request': {
    status: 400,
    title: 'The request could not be read',
    detail: 'Send one JSON object in UTF-8, with no member twice.',
  },
  'authentication-required': {
    status: 401,
    title: 'An access token is needed',
    detail: 'Send the access token as Authorization: Bearer TOKEN. POST /v1/auth/login issues one.',
  },
  'invalid-token': {
    status: 401,
    title: 'The access token is not valid',
    detail: 'Refresh it with POST /v1/auth/refresh, or log in again.',
  },
  'invalid-credentials': {
    status: 401,
    title: 'These credentials do not match',
    detail: 'Check the name and the password and try again.',
  },
  'invalid-refresh-token': {
    status: 401,
    title: 'The refresh token is not valid',
    detail: 'Log in again.',
  },
  'invalid-reset-token': {
    status: 400,
    title: 'This link cannot be used',
    detail: 'It is spent, expired or replaced by a newer one. Ask for another with POST /v1/auth/forgot-password.',
  },
  'invalid-token-link': {
    status: 400,
    title: 'This link cannot be used',
    detail: 'It is spent, expired or replaced by a newer one. Ask for another with POST /v1/auth/resend-verification.',
  },
  'invalid-client': {
    status: 401,
    title: 'These are not the credentials of a service',
    detail: 'Send the id and the secret of a service client as HTTP Basic credentials.',
  },
  'registration-closed': {
    status: 403,
    title: 'Registration is closed',
    detail: 'Ask the operator of this service for an account.',
  },
  'wrong-password': {
    status: 403,
    title: 'The current password is not right',
    detail: 'Check it and try again. Nothing was changed.',
  },
  'email-unverified': {
    status: 403,
    title: 'The e-mail address is not confirmed yet',
    detail: 'Open the link in the mail, or ask for another with POST /v1/auth/resend-verification.',
  },
  forbidden: {
    status: 403,
    title: 'Only admins may do this',
    detail: 'Ask an admin of this service to do it, or an operator to make you one.',
  },
  'not-found': {
    status: 404,
    title: 'There is nothing here',
    detail: 'Check the path and the id.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'This method is not allowed here',
    detail: 'The Allow header names the methods that are.',
  },
  'request-timeout': {
    status: 408,
    title: 'The request took too long to arrive',
    detail: 'Send it again.',
  },
  'email-taken': {
    status: 409,
    title: 'This e-mail address has an account already',
    detail: 'Log in instead, or use another address.',
  },
  'username-taken': {
    status: 409,
    title: 'This username is taken',
    detail: 'Choose another one.',
  },
  'last-admin': {
    status: 409,
    title: 'This is the last admin',
    detail: 'Make somebody else an admin first. Nothing was changed.',
  },
  'payload-too-large': {
    status: 413,
    title: 'The body is too large',
    detail: 'A body may have at most 64 KiB.',
  },
  'uri-too-long': {
    status: 414,
    title: 'The URL is too long',
    detail: 'A URL may have at most 8 KiB.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'This kind of body is not understood',
    detail: 'Send application/json, or a form to the OAuth endpoints, in UTF-8 and not compressed.',
  },
  'too-many-attempts': {
    status: 429,
    title: 'Too many attempts',
    detail: 'Try again after the time in Retry-After. Open sessions go on.',
  },
  'headers-too-large': {
    status: 431,
    title: 'The headers are too large',
    detail: 'All headers together may have at most 32 KiB.',
  },
  'internal-error': {
    status: 500,
    title: 'Something went wrong here',
    detail: 'This is our mistake. Report it with the request id.',
  },
  unavailable: {
    status: 503,
    title: 'The service cannot answer right now',
    detail: 'Nothing is lost. Try again after the time in Retry-After.',
  },
} as const satisfies Record<ErrorCode, ProblemKind>

const unavailableForSeconds = 2

/** What every problem is told in words about why a token is dead, where the closed list of reasons allows more. */
const reasonDetails: Readonly<Record<string, string>> = {
  expired: 'It has expired. Refresh it with POST /v1/auth/refresh, or log in again.',
  idle: 'The session was not used for too long. Log in again.',
  'logged-out': 'The session was logged out. Log in again.',
  'logged-out-everywhere': 'All sessions were logged out. Log in again.',
  revoked: 'The session was ended. Log in again.',
  'password-changed': 'The password was changed, which ended this session. Log in again.',
  'password-reset': 'The password was reset, which ended this session. Log in again.',
  reused: 'A spent refresh token was used again, so the session was ended for safety. Log in again.',
  evicted: 'There were too many sessions, and this one was unused for longest. Log in again.',
  disabled: 'The account is disabled.',
  ended: 'The session of this token has ended. Log in again.',
}

/** An error as it goes over the wire (RFC 9457 §3). */
export interface Problem {
  status: number
  headers: Record<string, string>
  body: Record<string, unknown>
}

/** Tells an error to the caller: its public part, and nothing of its cause. */
export function problemOf(
  error: Pick<AppError, 'code' | 'reason' | 'faults' | 'checks' | 'retryAfterSeconds'>,
  requestId: string,
): Problem {
  const { code, reason, faults, checks, retryAfterSeconds } = error
  const kind: ProblemKind = problemKinds[code]
  const headers: Record<string, string> = {}
  if (kind.status === 401) headers['WWW-Authenticate'] = challenges[code] ?? 'Bearer'
  const seconds = kind.status === 503 ? unavailableForSeconds : retryAfterSeconds
  if (seconds !== undefined) headers['Retry-After'] = String(seconds)
  return {
    status: kind.status,
    headers,
    body: {
      type: `/problems/${code}`,
      title: kind.title,
      status: kind.status,
      detail: (reason && reasonDetails[reason]) ?? kind.detail,
      instance: requestId,
      code,
      ...(reason !== undefined && { reason }),
      ...(checks && { checks }),
      ...(faults && { errors: faults.map(({ member, pointer = pointerTo(member), detail }) => ({ pointer, detail })) }),
    },
  }
}

/** An error as the OAuth endpoints tell it (RFC 6749 §5.2); null for one that OAuth has no word for. */
export function oauthErrorOf(error: AppError): Problem | null {
  const { code, faults } = error
  const name = oauthErrors[code]
  if (name === undefined) return null
  const { status, headers } = problemOf(error, '')
  const said = faults?.map(({ member, detail }) => `${member} ${detail}`).join('; ')
  const description = said ?? (code === 'malformed-request' ? unreadableForm : problemKinds[code].detail)
  return { status, headers, body: { error: name, error_description: description } }
}

const oauthErrors: Readonly<Partial<Record<ErrorCode, string>>> = {
  'malformed-request': 'invalid_request',
  'validation-failed': 'invalid_request',
  'invalid-client': 'invalid_client',
}
const unreadableForm = 'Send one form in UTF-8, with no parameter twice.'

/** How to authenticate, where it is not with a bare `Bearer` (RFC 9110 §11.6.1). */
const challenges: Readonly<Partial<Record<ErrorCode, string>>> = {
  'invalid-token': 'Bearer error="invalid_token"',
  'invalid-client': 'Basic realm="latchkey"',
}

/** The pointer to a member that the service knows by its own name: camelCase within, snake_case on the wire. */
function pointerTo(member: string): string {
  const name = member.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  return `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}
