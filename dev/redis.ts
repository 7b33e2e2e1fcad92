/** A private Redis (or Valkey). */
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { socketDir } from './places.ts'
import { launch, serviceOf, type Service } from './process.ts'
import { provide } from './provide.ts'

export interface RedisOptions {
  /** The state folder; one Redis in each. */
  dir: string
  /** Keeps nothing on disk and ends with this process. */
  ephemeral: boolean
  /** Listens on this port of 127.0.0.1 too. */
  port?: number | undefined
  /** Speaks nothing but TLS on that port. */
  tls?: TlsFiles | undefined
  /** Further arguments of redis-server, which win over ours: `['--requirepass', 'secret']`. */
  args?: string[]
  signal?: AbortSignal | undefined
}

/** Files in PEM: a server's key and certificate, and the authority by which it judges the others. */
export interface TlsFiles {
  key: string
  cert: string
  ca: string
}

/** Where the Redis of a state folder has its socket. */
export function redisSocket(dir: string): string {
  return path.join(socketDir(dir), 'redis.sock')
}

/** Starts the Redis of a state folder, or finds it running. Its URL is `unix:<path>`, or `redis://…` with a port. */
export async function startRedis({ dir, ephemeral, port, tls, args = [], signal }: RedisOptions): Promise<Service> {
  const data = path.join(dir, 'redis')
  fs.mkdirSync(data, { recursive: true, mode: 0o700 })
  const socket = redisSocket(dir)
  const files = ['--unixsocket', socket, '--unixsocketperm', '700', '--dir', data]
  const keep = ephemeral ? 'no' : 'yes'
  const command = await provide('redis-server', { signal })
  const mark = await launch({
    dir,
    name: 'redis',
    command,
    args: [
      ...listenOn(port, tls),
      ...files,
      '--save',
      '',
      '--maxmemory-policy',
      'noeviction',
      '--appendonly',
      keep,
      ...args,
    ],
    cwd: data,
    ephemeral,
    isReady: () => answers(socket),
    signal,
  })
  const password = args.includes('--requirepass') ? args[args.indexOf('--requirepass') + 1] : undefined
  const user = password ? `:${encodeURIComponent(password)}@` : ''
  return serviceOf(port ? `${tls ? 'rediss' : 'redis'}://${user}127.0.0.1:${port}` : `unix:${socket}`, mark)
}

/** The arguments of redis-server for where it listens, and for how it speaks with others of its kind. */
export function listenOn(port: number | undefined, tls: TlsFiles | undefined): string[] {
  if (!port) return ['--port', '0']
  if (!tls) return ['--bind', '127.0.0.1', '--port', String(port)]
  const files = ['--tls-key-file', tls.key, '--tls-cert-file', tls.cert, '--tls-ca-cert-file', tls.ca]
  const ways = ['--tls-auth-clients', 'no', '--tls-replication', 'yes', '--tls-cluster', 'yes']
  return ['--bind', '127.0.0.1', '--port', '0', '--tls-port', String(port), ...files, ...ways]
}

/** Whether it answers a command, be it with a refusal (a password is asked for); not while it still loads its data. */
export function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = net.connect(socket, () => connection.write('PING\r\n'))
    const settle = (answer: boolean) => {
      connection.destroy()
      resolve(answer)
    }
    connection.once('data', (reply) => settle(!reply.toString().startsWith('-LOADING')))
    connection.once('error', () => settle(false))
    connection.once('close', () => settle(false))
  })
}
