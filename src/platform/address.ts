import { isIP, SocketAddress } from 'node:net'
import proxyAddr from 'proxy-addr'
import type { IncomingMessage } from 'node:http'

/** Tells whether what a canonical address says of those before it is believed. */
export type Trust = (address: string) => boolean

const mapped = '::ffff:'
const hextets = 8
const networkHextets = 4

/**
 * The one form of an IP address: IPv6 compressed and in lower case (RFC 5952), without a zone, and an IPv4 address that
 * is written as IPv6 (`::ffff:192.0.2.1`) as IPv4. Null for what is no address.
 */
export function canonicalAddress(text: string): string | null {
  const version = isIP(text)
  if (version !== 6) return version === 4 ? text : null
  const { address } = new SocketAddress({ address: text, family: 'ipv6' })
  return address.startsWith(mapped) && address.includes('.') ? address.slice(mapped.length) : address
}

/** The network of a canonical address: an IPv4 address by itself, an IPv6 one by its first 64 bits. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address
  const [head, tail] = address.split('::').map((half) => (half === '' ? [] : half.split(':')))
  const all = tail ? [...head!, ...Array<string>(hextets - head!.length - tail.length).fill('0'), ...tail] : head!
  return `${all.slice(0, networkHextets).join(':')}::/64`
}

/**
 * Compiles a list of proxies, each an address or a network (`10.0.0.0/8`), to a test; an empty list trusts nobody.
 *
 * @throws TypeError when one of them is neither
 */
export function compileTrust(proxies: readonly string[]): Trust {
  for (const proxy of proxies)
    if (isIP(proxy.split('/')[0]!) === 0) throw new TypeError('neither an address nor a network')
  const trusts = proxyAddr.compile([...proxies])
  return (address) => trusts(address, 0)
}

/**
 * The address of the client of a request, in its canonical form; null when the connection has gone already.
 *
 * It is the address that connects, unless that is a trusted proxy: then the one the proxy names, which is the last of
 * X-Forwarded-For, and so on from right to left while those who are named are trusted themselves. Whatever stands further
 * left may have been written by anybody. Where a proxy names something that is no address, it is taken for the client
 * itself.
 */
export function clientAddressOf({ socket, headers }: IncomingMessage, trusts: Trust): string | null {
  let client = canonicalAddress(socket.remoteAddress ?? '')
  if (client === null || !trusts(client)) return client
  const named = String(headers['x-forwarded-for'] ?? '').split(',')
  while (named.length > 0 && trusts(client)) {
    const next = canonicalAddress(named.pop()!.trim())
    if (next === null) break
    client = next
  }
  return client
}
