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
  /** Listens on this port of 127.0.0.1 instead of a socket. */
  port?: number
  /** Further arguments of redis-server, which win over ours: `['--requirepass', 'secret']`. */
  args?: string[]
  signal?: AbortSignal | undefined
}

/** Where the Redis of a state folder has its socket. */
export function redisSocket(dir: string): string {
  return path.join(socketDir(dir), 'redis.sock')
}

/** Starts the Redis of a state folder, or finds it running. Its URL is `unix:<path>`, or `redis://…` with a port. */
export async function startRedis({ dir, ephemeral, port, args = [], signal }: RedisOptions): Promise<Service> {
  const data = path.join(dir, 'redis')
  fs.mkdirSync(data, { recursive: true, mode: 0o700 })
  const socket = redisSocket(dir)
  const listen = port ? ['--bind', '127.0.0.1', '--port', String(port)] : ['--port', '0', '--unixsocket', socket]
  const files = ['--unixsocketperm', '700', '--dir', data]
  const keep = ephemeral ? 'no' : 'yes'
  const command = await provide('redis-server', { signal })
  const mark = await launch({
    dir,
    name: 'redis',
    command,
    args: [...listen, ...files, '--save', '', '--maxmemory-policy', 'noeviction', '--appendonly', keep, ...args],
    cwd: data,
    ephemeral,
    isReady: () => answers(port ? { host: '127.0.0.1', port } : { path: socket }),
    signal,
  })
  const password = args.includes('--requirepass') ? args[args.indexOf('--requirepass') + 1] : undefined
  const user = password ? `:${encodeURIComponent(password)}@` : ''
  return serviceOf(port ? `redis://${user}127.0.0.1:${port}` : `unix:${socket}`, mark)
}

/** Whether it answers a command, be it with a refusal (a password is asked for); not while it still loads its data. */
function answers(address: net.NetConnectOpts): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = net.connect(address, () => connection.write('PING\r\n'))
    const settle = (answer: boolean) => {
      connection.destroy()
      resolve(answer)
    }
    connection.once('data', (reply) => settle(!reply.toString().startsWith('-LOADING')))
    connection.once('error', () => settle(false))
    connection.once('close', () => settle(false))
  })
}
