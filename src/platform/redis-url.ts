/** Where Redis is: one primary, a set watched by sentinels, or a cluster. */
export type RedisPlace =
  | { kind: 'socket'; path: string }
  | { kind: 'single'; url: string }
  | { kind: 'sentinel'; hosts: Host[]; primaryName: string; login: Login; tls: boolean }
  | { kind: 'cluster'; hosts: Host[]; login: Login; tls: boolean }

export interface Host {
  host: string
  port: number
}

/** Of an ACL user, or with a password alone of the default one. */
export interface Login {
  username?: string
  password?: string
}

const defaultPorts = { sentinel: 26_379, cluster: 6379 }

/**
 * Reads a URL of Redis; null when it is none.
 *
 * Several hosts in one URL are beyond what `URL` reads, so these forms are taken apart here. What it says of a login has
 * percent signs for what a URL cannot hold, as everywhere.
 *
 * @param url `redis://user:password@host:6379/0`, `rediss://` (TLS), `unix:/path`,
 *   `redis+sentinel://user:password@host:26379,host:26379/name-of-the-primary`, `redis+cluster://user:password@host,host`,
 *   and both with `rediss+`
 */
export function parseRedisUrl(url: string): RedisPlace | null {
  if (url.startsWith('unix:/')) return { kind: 'socket', path: url.slice('unix:'.length) }
  if (/^rediss?:\/\//.test(url)) return URL.canParse(url) ? { kind: 'single', url } : null
  const several = /^redis(s?)\+(sentinel|cluster):\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/([^/?#]*))?$/.exec(url)
  if (!several) return null
  const [, s, kind, userInfo, hostList, path] = several as unknown as [
    string,
    string,
    'sentinel' | 'cluster',
    string | undefined,
    string,
    string | undefined,
  ]
  const hosts = hostList.split(',').map((text) => parseHost(text, defaultPorts[kind]))
  const login = parseLogin(userInfo)
  if (login === null || hosts.includes(null)) return null
  const common = { hosts: hosts as Host[], login, tls: s === 's' }
  if (kind === 'cluster') return path ? null : { kind, ...common }
  const primaryName = decoded(path ?? '')
  return primaryName ? { kind, primaryName, ...common } : null
}

function parseHost(text: string, defaultPort: number): Host | null {
  const [, bracketed, plain, port] = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  const number = port === undefined ? defaultPort : Number(port)
  return host !== undefined && number > 0 && number <= 65_535 ? { host, port: number } : null
}

function parseLogin(userInfo: string | undefined): Login | null {
  if (userInfo === undefined) return {}
  const colon = userInfo.indexOf(':')
  const username = decoded(colon < 0 ? userInfo : userInfo.slice(0, colon))
  const password = decoded(colon < 0 ? '' : userInfo.slice(colon + 1))
  if (username === null || password === null) return null
  return { ...(username && { username }), ...(password && { password }) }
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
