import { z } from 'zod'
import { AppError, errorCodes, type ErrorCode } from '../errors.ts'
import { oauthErrorOf, problemKinds, problemOf } from './problems.ts'
import { problemsOf, takesBody, type Route } from './route.ts'
import * as schemas from './schemas.ts'

type Json = { [member: string]: unknown }

const componentOf = (id: string) => `#/components/schemas/${id}`
const exampleRequestId = '0f3a1c52-7d7e-4a55-9a3f-5f2f9d0c2b61'

/**
 * Describes the API in OpenAPI 3.1, from the declarations of its routes and nothing else.
 *
 * So it cannot say another thing than what the service checks and answers: the schemas are those the bodies are held
 * against, the problems those a route may throw.
 *
 * @param routes each route by the name that clients give the operation
 */
export function describeApi(
  routes: Readonly<Record<string, Route>>,
  { version, publicUrl }: { version: string; publicUrl: string },
): { openapi: '3.1.0' } & Json {
  const paths: Record<string, Json> = {}
  for (const [name, route] of Object.entries(routes)) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}').replaceAll(/\{\*(\w+)\}/g, '{$1}')
    paths[path] = { ...paths[path], [route.method === 'any' ? 'get' : route.method]: operationOf(name, route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Latchkey',
      version,
      summary: 'Sign-in, and a sign-out that takes effect with the very next request.',
      description:
        'Opaque access and refresh tokens over sessions in Redis. Whatever ends a session ends its tokens at once, on ' +
        'every instance. Errors are problems (RFC 9457); those of the OAuth endpoints have the form of RFC 6749.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: publicUrl }],
    tags: Object.entries(tags).map(([tag, description]) => ({ name: tag, description })),
    paths,
    components: {
      schemas: componentSchemas(),
      responses: refusals(Object.values(routes)),
      examples: Object.fromEntries(
        errorCodes.map((code) => [code, { summary: problemKinds[code].title, value: exampleProblem(code) }]),
      ),
      headers: Object.fromEntries(
        Object.entries(commonHeaders).map(([name, header]) => [
          name,
          { description: header.description, schema: header.schema },
        ]),
      ),
      securitySchemes: {
        accessToken: {
          type: 'http',
          scheme: 'bearer',
          description: 'The access token of a session, an opaque UUID; POST /v1/auth/login issues one.',
        },
        serviceClient: {
          type: 'http',
          scheme: 'basic',
          description: 'Id and secret of a service client, as an admin or operator has created it.',
        },
      },
    },
  }
}

const tags = {
  'Sign-in': 'Registering, logging in, refreshing and logging out.',
  Account: 'The caller’s own account.',
  Sessions: 'The caller’s open sessions.',
  'Services and gateways': 'For services and gateways: whose token is this, and is it live?',
  Admin: 'For admins.',
  Service: 'What the service says of itself.',
} as const

function tagOf({ path, auth }: Route): keyof typeof tags {
  if (auth === 'admin') return 'Admin'
  if (path.startsWith('/v1/auth/')) return 'Sign-in'
  if (path.startsWith('/v1/me')) return 'Account'
  if (path.startsWith('/v1/sessions')) return 'Sessions'
  return /oauth|forward-auth/.test(path) ? 'Services and gateways' : 'Service'
}

const security: Record<Route['auth'], Json[]> = {
  none: [],
  bearer: [{ accessToken: [] }],
  admin: [{ accessToken: [] }],
  'optional-bearer': [{ accessToken: [] }, {}],
  client: [{ serviceClient: [] }],
}

function operationOf(name: string, route: Route): Json {
  const { method, path, summary, auth, dialect, body } = route
  const many = path.includes('*') ? ' The rest of the path may be anything, slashes included.' : ''
  return {
    operationId: name,
    tags: [tagOf(route)],
    summary,
    ...(method === 'any' && { description: `Every method is answered alike, and a body is not read.${many}` }),
    security: security[auth],
    ...parametersOf(route),
    ...(takesBody(route) && body && { requestBody: requestBodyOf(body, dialect) }),
    responses: {
      ...repliesOf(route),
      ...refusalsOf(route),
      default: { $ref: `#/components/responses/${nameOf(unforeseen)}` },
    },
  }
}

function parametersOf({ path, params, query }: Route): Json {
  const listed = (schema: z.ZodType | undefined, place: 'path' | 'query') => {
    const { properties = {}, required = [] } = schema ? schemaOf(schema) : {}
    return Object.entries(properties as Record<string, Json>).map(([name, of]) => ({
      name,
      in: place,
      required: place === 'path' || (required as string[]).includes(name),
      schema: of,
    }))
  }
  const rest = /\*(\w+)/.exec(path)?.[1]
  const all = [
    ...listed(params, 'path'),
    ...(rest === undefined ? [] : [{ name: rest, in: 'path', required: true, schema: { type: 'string' } }]),
    ...listed(query, 'query'),
  ]
  return all.length > 0 ? { parameters: all } : {}
}

function requestBodyOf(body: z.ZodType, dialect: Route['dialect']): Json {
  const type = dialect === 'oauth' ? 'application/x-www-form-urlencoded' : 'application/json'
  const isNeeded = !body.safeParse({}).success
  return { required: isNeeded, content: { [type]: { schema: schemaOf(body), example: exampleOf(body) } } }
}

function repliesOf({ replies, headers = {} }: Route): Json {
  const own = Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: 'string' } }])
  return Object.fromEntries(
    Object.entries(replies).map(([status, schema]: [string, z.ZodType]) => [
      status,
      {
        description: successes[Number(status)],
        headers: { ...headersOf(Number(status)), ...Object.fromEntries(own) },
        ...(schema !== schemas.Nothing && {
          content: { 'application/json': { schema: schemaOf(schema), example: exampleOf(schema) } },
        }),
      },
    ]),
  )
}

const successes: Readonly<Record<number, string>> = {
  200: 'Done.',
  201: 'Created.',
  202: 'Taken; the rest comes by mail.',
  204: 'Done; there is nothing to tell.',
}

/** What a route may refuse, by status; at the OAuth endpoints some of it has another form. */
function refusalsOf(route: Route): Json {
  return Object.fromEntries(
    refusedTogether(route).map((codes) => {
      const { status } = problemKinds[codes[0]!]
      const spoken = route.dialect === 'oauth' ? oauthErrorOf(new AppError(codes[0]!)) : null
      return [status, spoken ? oauthRefusal(status, spoken.body) : { $ref: `#/components/responses/${nameOf(codes)}` }]
    }),
  )
}

const unforeseen: ErrorCode[] = ['internal-error']
const nameOf = (codes: ErrorCode[]) => codes.join('.')

/** The codes of a route, those of one status together. */
function refusedTogether(route: Route): ErrorCode[][] {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of new Set(problemsOf(route))) {
    if (unforeseen.includes(code)) continue
    const { status } = problemKinds[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return [...byStatus.values()]
}

/** Every set of codes that routes refuse with one status, once. */
function refusals(routes: Route[]): Json {
  return Object.fromEntries(
    [unforeseen, ...routes.flatMap(refusedTogether)].map((codes) => [nameOf(codes), refusal(codes)]),
  )
}

function refusal(codes: ErrorCode[]): Json {
  const titles = codes.map((code) => problemKinds[code].title)
  return {
    description: `${titles.join('. ')}.`,
    headers: headersOf(problemKinds[codes[0]!].status),
    content: {
      'application/problem+json': {
        schema: { allOf: [{ $ref: componentOf('Problem') }, { properties: { code: { enum: codes } } }] },
        examples: Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
      },
    },
  }
}

function oauthRefusal(status: number, example: unknown): Json {
  return {
    description: 'An error as OAuth 2.0 has it (RFC 6749 section 5.2).',
    headers: headersOf(status),
    content: { 'application/json': { schema: { $ref: componentOf('OauthError') }, example } },
  }
}

const always = () => true
const commonHeaders: Record<string, { description: string; schema: Json; on: (status: number) => boolean }> = {
  'X-Request-Id': {
    description: 'Names this request; the log has it too.',
    schema: { type: 'string', format: 'uuid' },
    on: always,
  },
  'Cache-Control': {
    description: 'Nothing of this API may be stored.',
    schema: { type: 'string', const: 'no-store' },
    on: always,
  },
  'WWW-Authenticate': {
    description: 'How to authenticate.',
    schema: { type: 'string' },
    on: (status) => status === 401,
  },
  'Retry-After': {
    description: 'Seconds after which it makes sense to try again.',
    schema: { type: 'string', pattern: '^[1-9][0-9]*$' },
    on: (status) => status === 429 || status === 503,
  },
}

const headersOf = (status: number) =>
  Object.fromEntries(
    Object.entries(commonHeaders)
      .filter(([, { on }]) => on(status))
      .map(([name]) => [name, { $ref: `#/components/headers/${name}` }]),
  )

function exampleProblem(code: ErrorCode): unknown {
  const faults = [{ member: 'email', detail: 'must be an e-mail address' }]
  const hasFaults = code === 'validation-failed' || code === 'password-refused'
  const reason = code === 'invalid-token' ? { reason: 'logged-out' } : {}
  return problemOf(new AppError(code, { ...reason, ...(hasFaults && { faults }) }), exampleRequestId).body
}

const named = z.registry<{ id: string }>()
for (const [id, schema] of Object.entries(schemas))
  if (schema instanceof z.ZodType && /^(?!Nothing$)[A-Z]/.test(id)) named.add(schema, { id })

function componentSchemas(): Json {
  const made = z.toJSONSchema(named, { io: 'input', uri: componentOf, unrepresentable: 'any' })
  return Object.fromEntries(Object.entries(made.schemas).map(([id, schema]) => [id, plain(schema)]))
}

/** A schema of the list by its name, any other in full. */
function schemaOf(schema: z.ZodType): Json {
  const id = named.get(schema)?.id
  if (id !== undefined && !/(Query|Params)$/.test(id)) return { $ref: componentOf(id) }
  return plain(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })) as Json
}

/** Takes out what only fills the page: the pattern beside a format, and what JSON Schema assumes anyway. */
function plain(of: unknown): unknown {
  if (Array.isArray(of)) return of.map(plain)
  if (typeof of !== 'object' || of === null) return of
  const { $schema: _, $id: __, readOnly: ___, ...rest } = of as Json
  if ('format' in rest) delete rest['pattern']
  if (rest['minimum'] === Number.MIN_SAFE_INTEGER) delete rest['minimum']
  if (rest['maximum'] === Number.MAX_SAFE_INTEGER) delete rest['maximum']
  if (Array.isArray(rest['prefixItems']) && rest['prefixItems'].length === 0) delete rest['prefixItems']
  return Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, plain(value)]))
}

/** Somebody who appears in every example. */
const examples: Json = {
  email: 'ada@example.com',
  username: 'ada',
  name: 'Ada Lovelace',
  pending_email: null,
  password: 'correct horse battery staple',
  current_password: 'correct horse battery staple',
  new_password: 'a quite different sentence',
  device_name: 'laptop',
  ip: '203.0.113.7',
  user_agent: 'curl/8.5.0',
  message: 'A mail is on its way.',
  token: '2f1d7c9e-4b7a-4a53-8a1e-6a0f3a1b9c55',
  access_token: '2f1d7c9e-4b7a-4a53-8a1e-6a0f3a1b9c55',
  refresh_token: '9b0c5a7e-0d3f-4c11-b6f4-3a9d2f3c8e70',
  token_type_hint: 'access_token',
  expires_in: 900,
  refresh_expires_in: 604800,
  role: 'user',
  next_cursor: null,
  detail: {},
  meaning: 'How long an access token lives.',
  value: 900,
  start_value: 900,
  secret: 'qN2v0b7nS3mU0q1JZ5wq9lF8Yw1dC6kE4rT2xB7zA0s',
  version: '1.0.0',
  iat: 1767225600,
  exp: 1767226500,
  auth_time: 1767225600,
  revoked: 3,
}
const exampleFormats: Readonly<Record<string, string>> = {
  uuid: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
  'date-time': '2026-01-01T00:00:00.000Z',
  uri: 'https://auth.example.com',
}
/** Members that stand in the place of others, or that few would send. */
const unusual = new Set(['identifier', 'password_confirmation'])

function exampleOf(schema: z.ZodType): unknown {
  if (schema === schemas.LoginBody) return { email: examples['email'], password: examples['password'] }
  if (schema === schemas.SettingsBody) return { access_token_ttl_seconds: 600 }
  return exampleFor(plain(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' })) as Json)
}

function exampleFor(of: Json): unknown {
  const { type, const: constant, enum: values, anyOf, format, properties, items, prefixItems } = of
  if (constant !== undefined) return constant
  if (Array.isArray(anyOf)) return exampleFor(anyOf[0] as Json)
  if (Array.isArray(values)) return values[0]
  if (typeof format === 'string' && format in exampleFormats) return exampleFormats[format]
  if (Array.isArray(prefixItems)) return prefixItems.map((item) => exampleFor(item as Json))
  const kind = Array.isArray(type) ? type[0] : type
  if (kind === 'object')
    return Object.fromEntries(
      Object.entries((properties ?? {}) as Record<string, Json>)
        .filter(([name]) => !unusual.has(name))
        .map(([name, member]) => [
          name,
          name in examples && !('enum' in member || 'const' in member) ? examples[name] : exampleFor(member),
        ]),
    )
  if (kind === 'array') return items ? [exampleFor(items as Json)] : []
  if (kind === 'boolean') return true
  return kind === 'integer' || kind === 'number' ? 1 : 'text'
}
