import { once } from 'node:events'
import net from 'node:net'

export type Address = { host: string; port: number } | { path: string }

/** What the proxy does with what passes through it. */
type Fault =
  | { kind: 'none' }
  /** New connections are closed at once, and those that stand are cut. */
  | { kind: 'refuse' }
  /** Nothing is forwarded either way; connections stand, and new ones are accepted. */
  | { kind: 'swallow' }
  /** Each piece is held for so long before it goes on, in each direction. */
  | { kind: 'delay'; eachWayMs: number }
  /** What is asked arrives, what is answered does not. */
  | { kind: 'lose-replies' }
  /** The store is asked nothing; whatever is sent is answered with what this makes of it. */
  | { kind: 'answer'; reply: (sent: Buffer) => Buffer | string }

export interface Proxy {
  host: string
  port: number
  /** From here on everything passes. What was swallowed is lost, so connections that stand may be of no use. */
  heal: () => void
  begin: (fault: Exclude<Fault, { kind: 'none' }>) => void
  /** Breaks all connections that stand. */
  cut: () => void
  /** Leads to another store from now on, and cuts what leads to the old one. */
  retarget: (to: Address) => void
  /** How many connections stand. */
  connections: () => number
  close: () => Promise<void>
}

/** A TCP proxy in front of a real store, which can do to it what a network, a failover or an overload does. */
export async function startProxy(to: Address): Promise<Proxy> {
  let target = to
  let fault: Fault = { kind: 'none' }
  const pairs = new Set<net.Socket>()

  const server = net.createServer((client) => {
    if (fault.kind === 'refuse') {
      client.destroy()
      return
    }
    const store = net.connect(target as net.NetConnectOpts)
    pairs.add(client)
    const over = () => {
      client.destroy()
      store.destroy()
      pairs.delete(client)
    }
    for (const socket of [client, store]) {
      socket.setNoDelay(true)
      socket.on('error', over)
      socket.on('close', over)
    }
    client.on('data', (sent) => {
      if (fault.kind === 'answer') {
        client.write(fault.reply(sent))
        return
      }
      pass(sent, store)
    })
    store.on('data', (answered) => {
      if (fault.kind !== 'lose-replies' && fault.kind !== 'answer') pass(answered, client)
    })
  })

  function pass(piece: Buffer, on: net.Socket): void {
    if (fault.kind === 'swallow') return
    if (fault.kind === 'delay') setTimeout(() => on.writable && on.write(piece), fault.eachWayMs)
    else on.write(piece)
  }

  function cut(): void {
    for (const client of pairs) client.destroy()
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  return {
    host: '127.0.0.1',
    port,
    heal: () => {
      fault = { kind: 'none' }
    },
    begin: (next) => {
      fault = next
      if (next.kind === 'refuse') cut()
    },
    cut,
    retarget: (next) => {
      target = next
      cut()
    },
    connections: () => pairs.size,
    close: async () => {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The URL of a store as it is reached through a proxy. */
export function urlThrough(proxy: Proxy, url: string): string {
  if (url.startsWith('unix:')) return `redis://${proxy.host}:${proxy.port}`
  const changed = new URL(url)
  changed.hostname = proxy.host
  changed.port = String(proxy.port)
  changed.searchParams.delete('host')
  return changed.href
}

/** Where a URL of a store leads, so that a proxy can stand before it. */
export function addressOf(url: string): Address {
  if (url.startsWith('unix:')) return { path: url.slice('unix:'.length) }
  const { hostname, port, searchParams, protocol } = new URL(url)
  const isPostgres = protocol.startsWith('postgres')
  const number = Number(port || (isPostgres ? 5432 : 6379))
  const folder = isPostgres ? searchParams.get('host') : null
  return folder === null ? { host: hostname, port: number } : { path: `${folder}/.s.PGSQL.${number}` }
}
