import { z } from 'zod'
import { errorCodes } from '../errors.ts'
import { settingNames } from '../settings/index.ts'
import { actorKinds, auditEvents, type AuditEventName } from '../audit/index.ts'

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

/** What is looked for; PostgreSQL takes no zero bytes, and nobody has a control character in their name. */
const searchText = z
  .string()
  .min(1, 'must not be empty')
  .max(254)
  .regex(/^\P{Cc}*$/u, 'must be printable characters')
const cursor = z.string().max(100).optional()
const limit = z
  .string()
  .regex(/^(100|[1-9]\d?)$/, 'must be a whole number from 1 to 100')
  .transform(Number)
  .optional()
const role = z.enum(['user', 'admin'], 'must be user or admin')

export const UsersQuery = z.strictObject({ query: searchText.optional(), cursor, limit })
const moment = z.iso
  .datetime({ offset: true, error: 'must be a time in RFC 3339, such as 2026-01-31T12:00:00Z' })
  .transform((written) => new Date(written))
/** Events are told apart by their ids, and a page begins where another has ended. */
const eventCursor = z.uuid('must be the next_cursor of a list').optional()
const eventNames = Object.keys(auditEvents) as AuditEventName[]

export const AuditQuery = z.strictObject({
  user: z.uuid('must be a UUID').optional(),
  event: z.enum(eventNames, 'must be the name of an event').optional(),
  since: moment.optional(),
  until: moment.optional(),
  cursor: eventCursor,
  limit,
})
export const ActivityQuery = z.strictObject({ cursor: eventCursor, limit })
export const UserParams = z.object({ user_id: z.uuid() })
export const UserSessionParams = z.object({ user_id: z.uuid(), session_id: z.uuid() })
export const NewUserBody = z.strictObject({
  email: text,
  username: text.nullable().optional(),
  name: text.nullable().optional(),
  role: role.optional(),
})
export const UserBody = z
  .strictObject({ username: text.nullable().optional(), name: text.nullable().optional(), role: role.optional() })
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name what is to be changed',
    when: ({ issues }) => issues.length === 0,
  })

export const User = z.strictObject({
  id: z.uuid(),
  email: z.string(),
  email_verified: z.boolean(),
  pending_email: z.string().nullable(),
  sign_in_notices: z.boolean(),
  username: z.string().nullable(),
  name: z.string().nullable(),
  role,
  created_at: time,
  updated_at: time,
})

/** What admins see of people. */
export const UserForAdmins = User.extend({ disabled_at: time.nullable() })
export const UserList = z.strictObject({ items: z.array(UserForAdmins), next_cursor: z.string().nullable() })

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

const happening = {
  id: z.uuid(),
  at: time,
  event: z.enum(eventNames),
  session_id: z.uuid().nullable(),
  detail: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string()).readonly()]))
    .readonly(),
}

const settingValue = z.union([z.int(), z.boolean()])

/** Any of the settings by its name; what each takes is asked of the settings themselves, all faults at once. */
export const SettingsBody = z
  .record(z.string(), z.unknown())
  .refine((body) => Object.keys(body).length > 0, 'must name what is to be changed')

export const Setting = z.strictObject({
  name: z.enum(settingNames),
  type: z.enum(['integer', 'boolean']),
  value: settingValue,
  start_value: settingValue,
  bounds: z.strictObject({ min: z.int(), max: z.int() }).nullable(),
  meaning: z.string(),
  changed_at: time.nullable(),
  changed_by: z.uuid().nullable(),
})
export const SettingList = z.strictObject({ items: z.array(Setting), next_cursor: z.null() })

export const ClientBody = z.strictObject({ name: text })
export const ClientParams = z.object({ id: z.uuid() })
export const ServiceClient = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  created_at: time,
  created_by: z.uuid().nullable(),
  last_used_at: time.nullable(),
  revoked_at: time.nullable(),
})
export const ServiceClientWithSecret = ServiceClient.extend({ secret: z.string() })
export const ServiceClientList = z.strictObject({ items: z.array(ServiceClient), next_cursor: z.null() })

export const AuditEvent = z.strictObject({
  ...happening,
  user_id: z.uuid().nullable(),
  actor: z.strictObject({
    kind: z.enum(actorKinds),
    id: z.uuid().nullable(),
    ip: z.string().nullable(),
    user_agent: z.string().nullable(),
  }),
})
export const AuditList = z.strictObject({ items: z.array(AuditEvent), next_cursor: z.string().nullable() })

/** What people are told of their own events: not which admin it was, nor from where. */
export const Activity = z.strictObject({
  ...happening,
  by: z.enum(['you', 'stranger', 'admin', 'operator', 'service']),
  ip: z.string().nullable(),
  user_agent: z.string().nullable(),
})
export const ActivityList = z.strictObject({ items: z.array(Activity), next_cursor: z.string().nullable() })

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

/** An error of this API (RFC 9457). */
export const Problem = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.uuid(),
  code: z.enum(errorCodes),
  reason: z.string().optional(),
  checks: z.record(z.string(), z.string()).optional(),
  errors: z.array(z.strictObject({ pointer: z.string(), detail: z.string() })).optional(),
})

/** An error of the OAuth endpoints (RFC 6749 §5.2). */
export const OauthError = z.strictObject({
  error: z.enum(['invalid_request', 'invalid_client']),
  error_description: z.string(),
})

export const Revoked = z.strictObject({ revoked: z.int().nonnegative() })
export const MailPromised = z.strictObject({ message: z.string() })
export const Nothing = z.null()
export const Greeting = z.strictObject({ message: z.string(), user_id: z.uuid(), session_id: z.uuid() })
export const Live = z.strictObject({ status: z.literal('live') })
export const Ready = z.strictObject({
  status: z.literal('ready'),
  checks: z.strictObject({
    redis: z.enum(['ok', 'evicts', 'partial']),
    postgres: z.literal('ok'),
    migrations: z.literal('ok'),
    mail: z.enum(['ok', 'degraded', 'off']),
  }),
})
export const Description = z.looseObject({ openapi: z.literal('3.1.0') })
export const Version = z.strictObject({ name: z.literal('latchkey'), version: z.string() })
