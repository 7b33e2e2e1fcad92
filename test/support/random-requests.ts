import { gzipSync } from 'node:zlib'
import { z } from 'zod'
import { settingDefinitions } from '../../src/settings/index.ts'
import type { Route } from '../../src/http/index.ts'
import type { Someone } from './people.ts'

export interface RandomRequest {
  method: string
  path: string
  bytes: Buffer
}

/** Whom and what the requests may name: some of what they say is right, so that they get past the first check. */
export interface Known {
  person: Someone
  /** A live access token of whom the route is for. */
  accessToken: () => string
  refreshToken: () => string
  /** Of a service, as HTTP Basic has them. */
  credentials: string
  ids: string[]
}

/** Text that has broken somebody's service before. */
const hostileTexts = [
  '',
  ' ',
  '\u0000',
  'a\u0000b@example.com',
  '\r\nX-Injected: 1',
  '\ud800',
  'e\u0301\u202e\u200b',
  '👩‍👩‍👧‍👦'.repeat(40),
  'x'.repeat(1024),
  'x'.repeat(5000),
  '%',
  '%00',
  "' or 1=1 --",
  '../../etc/passwd',
  '${7*7}',
  '<script>alert(1)</script>',
  '{{constructor}}',
  '__proto__',
  'constructor',
  'null',
  '-1',
  '1e309',
  '9999-12-31T23:59:59Z',
  '+275760-09-13T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '2026-02-30T00:00:00Z',
  'ınvalıd@example.com',
  `${'a'.repeat(64)}@${'b'.repeat(189)}.com`,
  '"a b"@example.com',
  'a@[127.0.0.1]',
]

const hostileValues: unknown[] = [
  null,
  true,
  0,
  -0,
  1e308,
  -1,
  2 ** 53,
  0.1,
  [],
  {},
  [[[[[[]]]]]],
  { $gt: '' },
  { toString: 1 },
  ['x'],
  Array.from({ length: 500 }, (_, i) => i),
]

const hostileBodies = [
  '',
  '{',
  '[]',
  'null',
  '"text"',
  '0',
  '{"a":1,"a":2}',
  '{"__proto__":{"role":"admin"}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '['.repeat(30_000),
  `${'{"a":'.repeat(8000)}1${'}'.repeat(8000)}`,
  `{"a":${'9'.repeat(60_000)}}`,
  `{"email":"${'\\u0000'.repeat(10_000)}"}`,
  'x'.repeat(66_000),
  '\ufeff{}',
  'token=a&token=b',
  'token=%ff%fe',
  'token',
  `${'a=b&'.repeat(10_000)}token=x`,
  `grant_type=password&${'&'.repeat(1000)}`,
]

const hostileBytes = [Buffer.from([0xff, 0xfe, 0x00]), Buffer.from('{"email":"\xc0\xaf"}', 'latin1'), gzipSync('{}')]

const hostileHeaders: [string, string][] = [
  ['Accept', 'x'.repeat(2000)],
  ['Cookie', 'access_token=x; '.repeat(100)],
  ['Content-Encoding', 'gzip'],
  ['Content-Encoding', 'br, identity'],
  ['Forwarded', 'for=unknown;proto=https'],
  ['If-None-Match', '*'],
  ['Origin', 'null'],
  ['Range', 'bytes=0-0,-1'],
  ['TE', 'trailers, deflate'],
  ['User-Agent', 'a\xff\xfe"<>\\'],
  ['User-Agent', 'x'.repeat(3000)],
  ['X-Forwarded-For', '::ffff:1.2.3.4%eth0, ,999.1.1.1'],
  ['X-Forwarded-Host', 'evil.example'],
  ['X-HTTP-Method-Override', 'DELETE'],
  ['X-Request-Id', '\xfc'.repeat(200)],
  ['Expect', '100-continue'],
  ['Expect', 'wonders'],
  ['Upgrade', 'h2c'],
  ['Connection', 'close'],
]

const contentTypes = [
  'application/json',
  'application/json; charset=utf-8',
  'application/x-www-form-urlencoded',
  'text/plain',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-16',
  'application/json, text/html',
  '/',
]

const otherMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']

/** Makes requests to a route: a fifth of them right, most with one thing wrong, a fifth as wrong as can be. */
export function createRandomRequests(route: Route, known: Known, chance: () => number) {
  const isTrue = (probability: number) => chance() < probability
  const pick = <T>(of: readonly T[]): T => of[Math.floor(chance() * of.length)]!
  const members = membersOf(route.body)
  const parameters = membersOf(route.query)

  function goodValue(name: string): unknown {
    const { person, accessToken, refreshToken, ids } = known
    if (Object.hasOwn(settingDefinitions, name))
      return pick([null, settingDefinitions[name as keyof typeof settingDefinitions].initial])
    if (/email|identifier/.test(name)) return pick([person.email, person.email.toUpperCase(), aNewAddress()])
    if (/password/.test(name)) return pick([person.password, person.password, 'some other sentence of somebody'])
    if (name === 'refresh_token') return refreshToken()
    if (/token/.test(name)) return pick([accessToken(), refreshToken(), aUuid()])
    if (/user|cursor/.test(name)) return pick([...ids, `name-${aUuid().slice(0, 8)}`])
    if (name === 'role') return pick(['user', 'admin'])
    if (name === 'limit') return pick(['1', '100'])
    if (name === 'event') return 'account.registered'
    if (/since|until/.test(name)) return new Date(1_700_000_000_000 + chance() * 1e11).toISOString()
    if (name === 'sign_in_notices') return isTrue(0.5)
    return pick(['Ada', 'a laptop', null])
  }
  /** Of chance, not of the machine, so that the same seed makes the same requests. */
  const aUuid = () =>
    'xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx'.replaceAll('x', () => Math.floor(chance() * 16).toString(16))
  const aNewAddress = () => `r-${aUuid()}@example.com`
  const places = [...members, ...parameters, 'authorization', 'body', 'header', 'method', 'path', 'type']
  let isChaos = false
  let wrongPlace: string | null = null
  /** Whether this is what is wrong with the request being made; in chaos as often as is said. */
  const goesWrong = (place: string, often: number) => (isChaos ? isTrue(often) : place === wrongPlace)
  const isSent = (name: string, often: number) => name === wrongPlace || isTrue(often)
  const hostileValue = () => (isTrue(0.6) ? pick(hostileTexts) : pick(hostileValues))
  const valueOf = (name: string) => (goesWrong(name, 0.3) ? hostileValue() : goodValue(name))

  function path(): string {
    const filled = route.path.replace(/:\w+|\{\*\w+\}/g, (name) => {
      if (name.startsWith('{')) return pick(['orders/1', '..%2f', '%', 'a//b', 'x'.repeat(300)])
      return !goesWrong('path', 0.3)
        ? pick([...known.ids, aUuid()])
        : encodeURIComponent(pick(hostileTexts).toWellFormed())
    })
    const sent = parameters
      .filter((name) => isSent(name, 0.4))
      .map((name) => `${name}=${encodeURIComponent(asText(valueOf(name)))}`)
    if (goesWrong('path', 0.1))
      sent.push(pick(['=', '%', '%00', 'a=b&a=c', 'access_token=x', '[]=1', '__proto__=1', '?']))
    const query = sent.length > 0 ? `?${sent.join('&')}` : ''
    const bent = !goesWrong('path', 0.05)
      ? filled
      : pick([`${filled}/`, `/${filled}`, filled.toUpperCase(), `${filled}%00`, '*', `${filled};x`])
    return bent + query
  }

  function body(): { type: string | null; bytes: Buffer } {
    const isAsked = members.length > 0 || isChaos || wrongPlace === 'body'
    if (!isAsked || isTrue(0.05)) return { type: null, bytes: Buffer.alloc(0) }
    const usual = route.dialect === 'oauth' ? 'application/x-www-form-urlencoded' : 'application/json'
    const type = goesWrong('type', 0.1) ? pick(contentTypes) : usual
    if (goesWrong('body', 0.12))
      return { type, bytes: isTrue(0.2) ? pick(hostileBytes) : Buffer.from(pick(hostileBodies)) }
    const names = members.filter((name) => isSent(name, 0.9))
    if (isChaos && isTrue(0.2)) names.push(pick(['isAdmin', '__proto__', '', 'a/b~c', 'x'.repeat(2000)]))
    const values = names.map((name): [string, unknown] => [name, valueOf(name)])
    const text =
      type === 'application/x-www-form-urlencoded'
        ? values.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(asText(value))}`).join('&')
        : `{${values.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`
    return { type, bytes: Buffer.from(text) }
  }

  function authorization(): string | null {
    const good = route.auth === 'client' ? known.credentials : `Bearer ${known.accessToken()}`
    if (!goesWrong('authorization', 0.3)) return good
    return pick([
      null,
      `Bearer ${aUuid()}`,
      `Bearer ${known.refreshToken()}`,
      `bearer   ${known.accessToken()}`,
      `Bearer ${'x'.repeat(4000)}`,
      'Bearer',
      'Bearer \xff\xfe',
      'Basic Og==',
      'Basic \xff',
      `Basic ${Buffer.from('%E0%A4%A:%').toString('base64')}`,
      `Digest username="${known.person.email}"`,
      known.credentials,
    ])
  }

  return (): RandomRequest => {
    isChaos = isTrue(0.2)
    wrongPlace = isTrue(0.25) ? null : pick(places)
    const declared = route.method === 'any' ? pick(otherMethods) : route.method.toUpperCase()
    const method = goesWrong('method', 0.07) ? pick([...otherMethods, 'HEAD']) : declared
    const at = path()
    const sent = body()
    const named = authorization()
    const headers: [string, string][] = [['Host', pick(['localhost', '127.0.0.1:1', 'evil.example'])]]
    if (named !== null) headers.push(['Authorization', named])
    if (sent.type !== null) headers.push(['Content-Type', sent.type])
    if (goesWrong('header', 0.3)) headers.push(pick(hostileHeaders))
    const isChunked = isTrue(0.1)
    headers.push(isChunked ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(sent.bytes.length)])
    const head = [`${method} ${at} HTTP/1.1`, ...headers.map((header) => header.join(': ')), '', ''].join('\r\n')
    return {
      method,
      path: at,
      bytes: Buffer.concat([Buffer.from(head, 'latin1'), isChunked ? inChunks(sent.bytes) : sent.bytes]),
    }
  }
}

const asText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed()

function inChunks(bytes: Buffer): Buffer {
  const end = Buffer.from('0\r\n\r\n')
  if (bytes.length === 0) return end
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n'), end])
}

/** The names of the members that a schema knows; of the settings a few, and one that is none. */
function membersOf(schema: z.ZodType | undefined): string[] {
  if (!schema) return []
  const { properties } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return properties ? Object.keys(properties) : ['audit_retention_days', 'refresh_grace_seconds', 'no_such_setting']
}
