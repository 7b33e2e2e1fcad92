import type { Redis } from 'ioredis'
import type { Knex } from 'knex'
import { digest } from '../../src/platform/digest.ts'
import type { Answer, ApiClient } from './client.ts'

/** What a run used that must not be kept or told, and where to look for it. */

/** Members of bodies, asked and answered, that carry a secret, whatever the route. */
const secretMember = /^(?:\w+_)?(?:password|password_confirmation|token|secret)$/
const addressMember = /^(?:email|pending_email|identifier)$/

export interface Known {
  secrets: Set<string>
  /** E-mail addresses: they are in the stores, and not in the log. */
  addresses: Set<string>
}

/** A client that takes note of every secret and address in what it sends and gets. */
export function noting(client: ApiClient, known: Known) {
  function note(value: unknown): void {
    if (typeof value !== 'object' || value === null) return
    for (const [name, inner] of Object.entries(value)) {
      if (typeof inner !== 'string') note(inner)
      else if (secretMember.test(name)) known.secrets.add(inner)
      else if (addressMember.test(name) && inner.includes('@')) known.addresses.add(inner)
    }
  }
  return async (
    method: string,
    path: string,
    options: { token?: string; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> => {
    if (options.token !== undefined) known.secrets.add(options.token)
    note(options.body)
    const answer = await client.call(method, path, options)
    note(answer.body)
    return answer
  }
}

/** The forms in which a text may lie somewhere: as it is, in hexadecimal, base64 at each alignment, or in a URL. */
export function formsOf(text: string): string[] {
  const bytes = Buffer.from(text)
  const aligned = [0, 1, 2].flatMap((offset) => {
    const whole = Buffer.concat([Buffer.alloc(offset), bytes])
    // Only whole groups of three bytes: what comes before and after the secret is not known.
    const groups = whole.subarray(offset === 0 ? 0 : 3, whole.length - (whole.length % 3))
    return [groups.toString('base64'), groups.toString('base64url')]
  })
  const packed = text.replaceAll('-', '')
  return [
    ...new Set([text, text.toUpperCase(), packed, encodeURIComponent(text), bytes.toString('hex'), ...aligned]),
    ...(/^[0-9a-f]{32}$/.test(packed) ? [Buffer.from(packed, 'hex').toString('base64').slice(0, 21)] : []),
  ]
}

export const digestsOf = (texts: Iterable<string>): string[] => [...texts].map(digest)

/** Every row of every table, as text. */
export async function wholeDatabase(knex: Knex): Promise<string> {
  const { rows } = await knex.raw(`
    select format('%I.%I', table_schema, table_name) as name from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`)
  const tables = (rows as { name: string }[]).map(({ name }) => name)
  const lines = await Promise.all(
    tables.map(async (name) => {
      const all = await knex.raw(`select t::text as line from ${name} t`)
      return (all.rows as { line: string }[]).map(({ line }) => `${name} ${line}`)
    }),
  )
  return lines.flat().join('\n')
}

/** Every key with its value, as text. */
export async function wholeRedis(redis: Redis): Promise<string> {
  const read: Record<string, (key: string) => Promise<unknown>> = {
    string: (key) => redis.get(key),
    hash: (key) => redis.hgetall(key),
    stream: (key) => redis.xrange(key, '-', '+'),
    list: (key) => redis.lrange(key, 0, -1),
    set: (key) => redis.smembers(key),
    zset: (key) => redis.zrange(key, '0', '-1'),
  }
  const lines: string[] = []
  for await (const keys of redis.scanStream() as AsyncIterable<string[]>)
    for (const key of keys) lines.push(`${key} ${JSON.stringify(await read[await redis.type(key)]!(key))}`)
  return lines.join('\n')
}

/** Which of these texts, in which form, is found in a heap; what is said of it is where it was found. */
export function found(texts: Iterable<string>, heap: string): string[] {
  return [...texts].flatMap((text) =>
    formsOf(text).flatMap((form) => {
      const at = heap.indexOf(form)
      return at === -1 ? [] : [`${form} in …${heap.slice(Math.max(0, at - 80), at + form.length + 40)}…`]
    }),
  )
}
