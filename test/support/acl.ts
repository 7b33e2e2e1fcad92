import fs from 'node:fs'
import type { Redis } from 'ioredis'

const operating = new URL('../../docs/operating.md', import.meta.url)

/** Whom the service is to Redis where that asks who is there. */
export const redisUser = { username: 'latchkey', password: 'a:secret@of/latchkey' }

/**
 * The rules of the user that docs/operating.md recommends: what one primary asks for, and what a Cluster does besides.
 *
 * @param prefix what the keys of the service begin with
 */
export function recommendedRules(prefix: string): { rules: string[]; ofCluster: string[] } {
  const text = fs.readFileSync(operating, 'utf8')
  const [, rules] = /^user latchkey on >\S+ (.+)$/m.exec(text)!
  const [, ofCluster] = /^# and on a Cluster: (.+)$/m.exec(text)!
  return {
    rules: rules!.replace('~latchkey:*', `~${prefix}*`).split(' '),
    ofCluster: ofCluster!.split(' '),
  }
}

/** The words after `ACL SETUSER`, or after `user` in the configuration of Redis, for the user of the service. */
export function userWords(prefix: string, isCluster: boolean): string[] {
  const { rules, ofCluster } = recommendedRules(prefix)
  return [redisUser.username, 'on', `>${redisUser.password}`, ...rules, ...(isCluster ? ofCluster : [])]
}

/** A URL of Redis as the service has it who is a user there. */
export function asRedisUser(url: string, { username, password } = redisUser): string {
  return url.replace('://', `://${encodeURIComponent(username)}:${encodeURIComponent(password)}@`)
}

/** What a user wanted to do and must not, on one server. Redis 7.2 would be told the name of the client library. */
export async function deniedTo(username: string, operator: Redis): Promise<unknown[]> {
  const entries = (await operator.call('ACL', 'LOG', 100)) as unknown[][]
  return entries
    .map((flat) => Object.fromEntries(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]]] : []))))
    .filter((entry) => entry['username'] === username && entry['object'] !== 'client|setinfo')
    .filter(({ reason }) => reason !== 'auth')
}
