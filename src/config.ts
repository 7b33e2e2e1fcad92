import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { compileTrust } from './platform/address.ts'
import type { LogLevel } from './platform/log.ts'
import { parseRedisUrl } from './platform/redis-url.ts'
import { settingDefinitions, settingNames, type SettingName, type Settings } from './settings/index.ts'

/**
 * The environment, read in this one place and checked at start; every complaint is made at once, no value is repeated.
 */

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((number) => number >= min && number <= max, `must be a whole number from ${min} to ${max}`)

const flag = z.enum(['true', 'false']).transform((text) => text === 'true')

const url = (...schemes: string[]) =>
  z
    .string()
    .refine((text) => schemes.some((scheme) => text.startsWith(scheme)), `must begin with ${schemes.join(' or ')}`)
    .refine((text) => URL.canParse(text), 'must be a URL')

const proxies = z
  .string()
  .transform((text) => (text === 'none' ? [] : text.split(',').map((proxy) => proxy.trim())))
  .refine((list) => {
    try {
      compileTrust(list)
      return true
    } catch {
      return false
    }
  }, 'must be addresses or networks such as 10.0.0.0/8, with commas between them')

/** A mailbox, with a name before it or not: `Name <address>`; nothing in either that a header could be broken with. */
const mailbox = z
  .string()
  .regex(
    /^(?:[^<>"\\\p{Cc}]{1,100} <[\w.+-]{1,64}@[a-z\d.-]{1,253}>|[\w.+-]{1,64}@[a-z\d.-]{1,253})$/iu,
    'must be `address` or `Name <address>`',
  )
  .transform((text) => {
    const [, name, address] = /^(?:(.*) <)?([^<>]+)>?$/.exec(text)!
    return { name: name ?? 'Latchkey', address: address! }
  })

const redisForms =
  '`redis://…`, `rediss://…`, `unix:/path`, `redis+sentinel://host:port,host:port/name` or `redis+cluster://host:port,host:port`'

interface Variable {
  schema: z.ZodType<unknown, string>
  /** What holds when it is not set; null: it must be set; empty: it need not be. */
  initial: string | null
  meaning: string
}

const serviceVariables = {
  DATABASE_URL: {
    schema: url('postgres://', 'postgresql://'),
    initial: null,
    meaning: 'PostgreSQL, as `postgres://user:password@host:5432/name`; `npm start` brings its own when it is not set.',
  },
  REDIS_URL: {
    schema: z.string().refine((text) => parseRedisUrl(text) !== null, `must be ${redisForms}`),
    initial: null,
    meaning:
      'Redis: one primary as `redis://user:password@host:6379/0`, `rediss://…` (TLS) or `unix:/path`; a set watched by sentinels as `redis+sentinel://user:password@host:26379,host:26379/name`; a cluster as `redis+cluster://user:password@host:6379,host:6379`; both with TLS as `rediss+…`. `npm start` brings its own when it is not set.',
  },
  SMTP_URL: {
    schema: url('smtp://', 'smtps://').or(z.literal('')),
    initial: '',
    meaning:
      'The mail server, as `smtp://user:password@host:587` or `smtps://` (TLS from the start); without it mails stay queued. `npm start` catches mails instead.',
  },
  MAIL_FROM: {
    schema: mailbox,
    initial: 'Latchkey <latchkey@localhost>',
    meaning: 'Who mails come from; the name is also what they call the service. Must be set where `SMTP_URL` is.',
  },
  FRONTEND_URL: {
    schema: url('http://', 'https://').transform((text) => text.replace(/\/+$/, '')),
    initial: 'http://127.0.0.1:3000',
    meaning:
      'What the links in mails begin with; where it is `PUBLIC_URL` they lead to pages of the service itself. Must be set where `SMTP_URL` is.',
  },
  PUBLIC_URL: {
    schema: url('http://', 'https://')
      .refine((text) => !/[?#]/.test(text), 'must have neither a query nor a fragment')
      .transform((text) => text.replace(/\/+$/, '')),
    initial: 'http://127.0.0.1:3000',
    meaning: 'Where services reach this one: the issuer of its tokens, as introspection and the metadata say it.',
  },
  HOST: { schema: z.string().min(1), initial: '127.0.0.1', meaning: 'Address to listen on; `0.0.0.0` for all.' },
  PORT: { schema: whole(0, 65_535), initial: '3000', meaning: 'Port to listen on; 0 takes a free one.' },
  OPS_HOST: {
    schema: z.string().min(1),
    initial: '127.0.0.1',
    meaning: 'Address of the internal listener; the network of whoever scrapes it, never the internet.',
  },
  OPS_PORT: {
    schema: whole(0, 65_535).or(z.literal('')),
    initial: '',
    meaning:
      'Port of the internal listener, with `/metrics` and `/health`; 0 takes a free one; without it there is none.',
  },
  WEB_CONCURRENCY: {
    schema: whole(1, 64),
    initial: '1',
    meaning:
      'How many processes serve behind the port, one for each core that there is for it; `npm start` has always one.',
  },
  KEY_PREFIX: {
    schema: z
      .string()
      .regex(/^[\w:.-]{1,64}$/, 'must be 1 to 64 letters, digits, colons, dots, hyphens or underscores'),
    initial: 'latchkey:',
    meaning: 'What every Redis key begins with.',
  },
  TRUSTED_PROXIES: {
    schema: proxies,
    initial: 'none',
    meaning:
      'Proxies whose X-Forwarded-For is believed: addresses and networks such as `10.0.0.0/8`, with commas between them.',
  },
  REGISTRATION: {
    schema: z.enum(['open', 'closed']),
    initial: 'open',
    meaning: 'Whether strangers may register: `open` or `closed`.',
  },
  REQUIRE_VERIFIED_EMAIL: {
    schema: flag,
    initial: 'false',
    meaning:
      'With `true` nobody logs in before they have confirmed their address, and registering tells nobody who exists.',
  },
  LOG_LEVEL: {
    schema: z.enum(['silent', 'error', 'warn', 'info', 'debug'] satisfies LogLevel[]),
    initial: 'info',
    meaning: '`silent`, `error`, `warn`, `info` or `debug`; `debug` logs every request.',
  },
  ARGON2_MEMORY_KIB: {
    schema: whole(8, 4_194_304),
    initial: '19456',
    meaning: 'Memory of one password hash, in KiB.',
  },
  ARGON2_TIME_COST: { schema: whole(1, 100), initial: '2', meaning: 'Passes of one password hash.' },
  ARGON2_PARALLELISM: { schema: whole(1, 64), initial: '1', meaning: 'Lanes of one password hash.' },
  HASHES_AT_ONCE: {
    schema: whole(1, 64).or(z.literal('')),
    initial: '',
    meaning:
      'How many passwords one process hashes at once; when it is not set, its share of one less than the cores, from 1 to 3.',
  },
  HASHES_WAITING_MAX: {
    schema: whole(0, 10_000),
    initial: '100',
    meaning: 'How many more may wait to be hashed; beyond that a login is answered 503 at once.',
  },
  DATABASE_POOL_MAX: {
    schema: whole(1, 1000),
    initial: '10',
    meaning: 'The most connections to PostgreSQL of one process.',
  },
  DATABASE_TIMEOUT_MS: {
    schema: whole(50, 60_000),
    initial: '1500',
    meaning: 'The longest wait for PostgreSQL: for a connection, a lock, an answer.',
  },
  REDIS_TIMEOUT_MS: { schema: whole(50, 60_000), initial: '1000', meaning: 'The longest wait for an answer of Redis.' },
} as const satisfies Record<string, Variable>

export const settingVariable = (name: SettingName) => `SETTING_${name.toUpperCase()}`

const settingVariables = Object.fromEntries(
  settingNames.map((name) => [settingVariable(name), variableOf(settingDefinitions[name])]),
)

function variableOf(definition: (typeof settingDefinitions)[SettingName]): Variable {
  const { initial, meaning } = definition
  return definition.type === 'boolean'
    ? { schema: flag, initial: String(initial), meaning: `${meaning} \`true\` or \`false\`.` }
    : {
        schema: whole(definition.min, definition.max),
        initial: String(initial),
        meaning: `${meaning} From ${definition.min} to ${definition.max}.`,
      }
}

/** Every variable with its default and meaning; the README's table and `.env.example` are compared with this. */
export const variables: Record<string, Variable> = { ...serviceVariables, ...settingVariables }

export interface Config {
  databaseUrl: string
  databasePoolMax: number
  databaseTimeoutMs: number
  redisUrl: string
  redisTimeoutMs: number
  /** null: no mail is sent. */
  smtp: { url: string } | null
  mailFrom: { name: string; address: string }
  /** Without a slash at its end. */
  frontendUrl: string
  /** Without a slash at its end. */
  publicUrl: string
  keyPrefix: string
  host: string
  port: number
  /** Where metrics and health are served; null: nowhere. */
  ops: { host: string; port: number } | null
  /** How many processes serve behind the port. */
  processes: number
  trustedProxies: string[]
  registration: 'open' | 'closed'
  requireVerifiedEmail: boolean
  logLevel: LogLevel
  hashCost: { memoryKib: number; timeCost: number; parallelism: number }
  hashing: { atOnce: number; waitingMax: number }
  /** What holds for a runtime setting that was never changed. */
  settings: Settings
}

/** Says everything that is wrong with the environment. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/**
 * Reads the configuration from the environment; a variable that is set but empty counts as not set.
 *
 * @throws ConfigError naming every variable that is missing or out of bounds, never its value
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const complaints: string[] = []
  const read = Object.fromEntries(
    Object.entries(variables).map(([name, { schema, initial }]) => {
      const text = env[name] || initial
      if (text === null) {
        complaints.push(`${name} must be set`)
        return [name, undefined]
      }
      const parsed = schema.safeParse(text)
      if (!parsed.success) complaints.push(`${name} ${complaintOf(parsed.error)}`)
      return [name, parsed.data]
    }),
  ) as { [N in keyof typeof serviceVariables]: z.output<(typeof serviceVariables)[N]['schema']> } & Record<
    string,
    number | boolean
  >
  for (const name of ['MAIL_FROM', 'FRONTEND_URL'])
    if (env['SMTP_URL'] && !env[name]) complaints.push(`${name} must be set where SMTP_URL is`)
  for (const name of Object.keys(env))
    if (name.startsWith('SETTING_') && !(name in variables)) complaints.push(`${name} is no setting`)
  if (complaints.length > 0) throw new ConfigError(`The configuration is not usable:\n  ${complaints.join('\n  ')}`)
  return {
    databaseUrl: read.DATABASE_URL,
    databasePoolMax: read.DATABASE_POOL_MAX,
    databaseTimeoutMs: read.DATABASE_TIMEOUT_MS,
    redisUrl: read.REDIS_URL,
    redisTimeoutMs: read.REDIS_TIMEOUT_MS,
    smtp: read.SMTP_URL ? { url: read.SMTP_URL } : null,
    mailFrom: read.MAIL_FROM,
    frontendUrl: read.FRONTEND_URL,
    publicUrl: read.PUBLIC_URL,
    keyPrefix: read.KEY_PREFIX,
    host: read.HOST,
    port: read.PORT,
    ops: read.OPS_PORT === '' ? null : { host: read.OPS_HOST, port: read.OPS_PORT },
    processes: read.WEB_CONCURRENCY,
    trustedProxies: read.TRUSTED_PROXIES,
    registration: read.REGISTRATION,
    requireVerifiedEmail: read.REQUIRE_VERIFIED_EMAIL,
    logLevel: read.LOG_LEVEL,
    hashCost: {
      memoryKib: read.ARGON2_MEMORY_KIB,
      timeCost: read.ARGON2_TIME_COST,
      parallelism: read.ARGON2_PARALLELISM,
    },
    hashing: {
      atOnce:
        read.HASHES_AT_ONCE ||
        Math.max(1, Math.min(3, Math.floor((availableParallelism() - 1) / read.WEB_CONCURRENCY))),
      waitingMax: read.HASHES_WAITING_MAX,
    },
    settings: Object.fromEntries(settingNames.map((name) => [name, read[settingVariable(name)]!])) as Settings,
  }
}

function complaintOf(error: z.ZodError): string {
  const [issue] = error.issues
  return issue?.code === 'invalid_value'
    ? `must be one of ${issue.values.join(', ')}`
    : (issue?.message ?? 'is not valid')
}
