import { z } from 'zod'

/** The JSON of the API. Sizes here protect the parser; rules that are explained to people live with the accounts. */

const textMax = 1024
/** Text as it came: any well-formed string of reasonable size. Never trimmed, never coerced. */
const text = z
  .string()
  .max(textMax)
  .refine((value) => value.isWellFormed(), 'must be well-formed Unicode')
const token = z.string().max(textMax)
const time = z.iso.datetime()
const deviceName = text.nullable().optional()

export const RegisterBody = z
  .strictObject({
    email: text,
    password: text,
    password_confirmation: text.optional(),
    username: text.nullable().optional(),
    name: text.nullable().optional(),
    device_name: deviceName,
  })
  .refine((body) => body.password_confirmation === undefined || body.password_confirmation === body.password, {
    path: ['password_confirmation'],
    error: 'must be the same as password',
    when: ({ value }) => typeof (value as { password?: unknown } | null)?.password === 'string',
  })

const identifiers = ['email', 'username', 'identifier'] as const

export const LoginBody = z
  .strictObject({
    email: text.optional(),
    username: text.optional(),
    identifier: text.optional(),
    password: text,
    device_name: deviceName,
  })
  .refine((body) => identifiers.filter((name) => body[name] !== undefined).length === 1, {
    path: ['identifier'],
    error: 'exactly one of email, username and identifier is required',
    when: ({ value }) => typeof value === 'object' && value !== null && !Array.isArray(value),
  })

export const RefreshBody = z.strictObject({ refresh_token: token })
export const LogoutBody = z.strictObject({ refresh_token: token.optional() })
export const EmailBody = z.strictObject({ email: text })
export const ResetBody = z.strictObject({ token, new_password: text })
export const VerifyBody = z.strictObject({ token })
export const PasswordBody = z.strictObject({ current_password: text, new_password: text })
export const DeleteBody = z.strictObject({ current_password: text })
export const ProfileBody = z.strictObject({
  email: text.optional(),
  current_password: text.optional(),
  sign_in_notices: z.boolean().optional(),
  username: text.nullable().optional(),
  name: text.nullable().optional(),
})
export const SessionBody = z.strictObject({ device_name: text.nullable() })

export const SessionParams = z.object({ id: z.uuid() })

export const User = z.strictObject({
  id: z.uuid(),
  email: z.string(),
  email_verified: z.boolean(),
  pending_email: z.string().nullable(),
  sign_in_notices: z.boolean(),
  username: z.string().nullable(),
  name: z.string().nullable(),
  role: z.enum(['user', 'admin']),
  created_at: time,
  updated_at: time,
})

export const Session = z.strictObject({
  id: z.uuid(),
  current: z.boolean(),
  device_name: z.string().nullable(),
  ip: z.string().nullable(),
  user_agent: z.string().nullable(),
  created_at: time,
  last_seen_at: time,
  idle_expires_at: time,
  expires_at: time,
})

export const SessionList = z.strictObject({ items: z.array(Session), next_cursor: z.string().nullable() })

export const TokenResponse = z.strictObject({
  access_token: z.uuid(),
  token_type: z.literal('Bearer'),
  expires_in: z.int().nonnegative(),
  refresh_token: z.uuid(),
  refresh_expires_in: z.int().nonnegative(),
  session: Session,
  user: User,
})

/** Parameters of a form that are not known are ignored (RFC 6749 §3.2), and so is a hint: the token is found anyway. */
export const TokenForm = z.object({ token: z.string(), token_type_hint: z.string().optional() })

export const Introspection = z.union([
  z.strictObject({
    active: z.literal(true),
    sub: z.uuid(),
    sid: z.uuid(),
    username: z.string().optional(),
    email: z.string(),
    email_verified: z.boolean(),
    role: z.string(),
    token_type: z.literal('Bearer'),
    iat: z.int(),
    exp: z.int(),
    auth_time: z.int(),
    iss: z.url(),
  }),
  z.strictObject({ active: z.literal(false) }),
])

export const ServerMetadata = z.strictObject({
  issuer: z.url(),
  introspection_endpoint: z.url(),
  introspection_endpoint_auth_methods_supported: z.tuple([z.literal('client_secret_basic')]),
  revocation_endpoint: z.url(),
  revocation_endpoint_auth_methods_supported: z.tuple([z.literal('none')]),
  response_types_supported: z.tuple([]),
  grant_types_supported: z.tuple([]),
})

export const Revoked = z.strictObject({ revoked: z.int().nonnegative() })
export const MailPromised = z.strictObject({ message: z.string() })
export const Nothing = z.null()
export const Greeting = z.strictObject({ message: z.string(), user_id: z.uuid(), session_id: z.uuid() })
export const Live = z.strictObject({ status: z.literal('live') })
export const Ready = z.strictObject({
  status: z.literal('ready'),
  checks: z.strictObject({
    redis: z.enum(['ok', 'evicts']),
    postgres: z.literal('ok'),
    migrations: z.literal('ok'),
    mail: z.enum(['ok', 'degraded', 'off']),
  }),
})
export const Version = z.strictObject({ name: z.literal('latchkey'), version: z.string() })
