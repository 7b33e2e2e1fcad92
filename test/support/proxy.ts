import { once } from 'node:events'
import net from 'node:net'
import type { Framing } from './framing.ts'

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
  /** Another command goes to the store in the place of each. */
  | { kind: 'replace'; by: (command: Buffer) => Buffer }
  /** The command that comes at this place from now on, counted from 1 over all connections, meets a mishap. */
  | { kind: 'mishap'; at: number; is: Mishap }

/**
 * What may happen to one command: its connection breaks before it has arrived; it breaks in the place of the answer; or
 * the command arrives, and nothing more is heard on this connection.
 */
export const mishaps = ['lost', 'cut', 'silence'] as const
export type Mishap = (typeof mishaps)[number]

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
  /** How many commands that count have come since the last fault began; only where the proxy knows the framing. */
  commands: () => number
  close: () => Promise<void>
}

/**
 * A TCP proxy in front of a real store, which can do to it what a network, a failover or an overload does.
 *
 * @param framing how commands are told apart; only `replace` and `mishap` need it
 * @param onPiece is told of each piece, either way, that is about to go on
 */
export async function startProxy(
  to: Address,
  framing?: Framing,
  onPiece: () => void = () => undefined,
): Promise<Proxy> {
  let target = to
  let fault: Fault = { kind: 'none' }
  let count = 0
  const clients = new Set<net.Socket>()

  const server = net.createServer((client) => {
    if (fault.kind === 'refuse') {
      client.destroy()
      return
    }
    const store = net.connect(target as net.NetConnectOpts)
    clients.add(client)
    let doomed: Mishap | undefined
    const over = () => {
      client.destroy()
      store.destroy()
      clients.delete(client)
    }
    for (const socket of [client, store]) {
      socket.setNoDelay(true)
      socket.on('error', over)
      socket.on('close', over)
    }
    const framed = framing?.open()
    client.on('data', (sent) => {
      for (const command of framed ? framed(sent) : [sent]) {
        const isCounted = framing?.counts(command) ?? false
        if (isCounted) count += 1
        if (isCounted && fault.kind === 'mishap' && count === fault.at) {
          doomed = fault.is
          if (doomed === 'lost') {
            over()
            return
          }
        }
        pass(fault.kind === 'replace' ? fault.by(command) : command, store)
      }
    })
    store.on('data', (answered) => {
      if (doomed === 'cut') over()
      if (doomed === undefined && fault.kind !== 'lose-replies') pass(answered, client)
    })
  })

  function pass(piece: Buffer, on: net.Socket): void {
    if (fault.kind === 'swallow') return
    onPiece()
    if (fault.kind === 'delay') setTimeout(() => on.writable && on.write(piece), fault.eachWayMs)
    else on.write(piece)
  }

  function cut(): void {
    for (const client of clients) client.destroy()
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
      count = 0
      if (next.kind === 'refuse') cut()
    },
    cut,
    retarget: (next) => {
      target = next
      cut()
    },
    connections: () => clients.size,
    commands: () => count,
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
