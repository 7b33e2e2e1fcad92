import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import { startFlags } from '../../dev/start-args.ts'
import { bundledMain } from './bundle.ts'
import { eventually } from './eventually.ts'
import { wideLimits } from './service.ts'
import { databaseUrl, keyPrefix, redisUrl } from './stores.ts'

const root = new URL('../..', import.meta.url).pathname
const nodeArgs = (entry: string) =>
  process.env['LATCHKEY_UNDER_TEST'] === 'build'
    ? [...(entry === 'main' ? startFlags : []), `dist/src/${entry}.js`]
    : ['--import', 'tsx', `src/${entry}.ts`]

/** The environment of a process: nothing of ours but what it needs to find its stores. */
const ownEnv = () => ({
  PATH: process.env['PATH'],
  DATABASE_URL: databaseUrl(),
  REDIS_URL: redisUrl(),
  KEY_PREFIX: keyPrefix,
})

/** Runs the operator's command line to its end, with what comes to it by a pipe. */
export async function latchkey(args: string[], env: Record<string, string> = {}, piped?: string | Readable) {
  const child = spawn(process.execPath, [...nodeArgs('cli/main'), ...args], {
    cwd: root,
    env: { ...ownEnv(), ...env },
    stdio: [piped === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  let out = ''
  let errors = ''
  child.stdout!.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr!.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  if (piped !== undefined) Readable.from(piped).pipe(child.stdin!)
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, errors }
}

export interface Credentials {
  id: string
  secret: string
  /** As HTTP Basic has them. */
  authorization: string
}

/** Credentials for a service, as an operator creates them. */
export async function aServiceClient(env: Record<string, string> = {}): Promise<Credentials> {
  const { code, out, errors } = await latchkey(['clients', 'create', '--name', 'orders', '--json'], env)
  if (code !== 0) throw new Error(errors)
  const { id, secret } = JSON.parse(out) as { id: string; secret: string }
  return { id, secret, authorization: basicOf(id, secret) }
}

/** RFC 7617. */
export function basicOf(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
}

export interface ServiceProcess {
  process: ChildProcess
  /** All that it has written so far, to standard output and standard error. */
  output: () => string
  exitCode: Promise<number | null>
}

/** Starts the service as a process of its own, on a free port. */
export function startProcess(env: Record<string, string> = {}, entry = 'main', args: string[] = []): ServiceProcess {
  return watch(process.execPath, [...nodeArgs(entry), ...args], env)
}

/** Like {@link startProcess}, as in production, for tests that start many; with so many files open at most, where told. */
export async function startBundled(
  env: Record<string, string> = {},
  { openFilesMax }: { openFilesMax?: number } = {},
): Promise<ServiceProcess> {
  const main = await bundledMain()
  return openFilesMax === undefined
    ? watch(process.execPath, [...startFlags, main], env)
    : watch('/bin/sh', ['-c', `ulimit -n ${openFilesMax}; exec "$0" "$@"`, process.execPath, ...startFlags, main], env)
}

function watch(command: string, args: string[], env: Record<string, string>): ServiceProcess {
  const child = spawn(command, args, {
    cwd: root,
    env: { ...ownEnv(), NODE_ENV: 'production', PORT: '0', ...wideLimits, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return {
    process: child,
    output: () => output,
    exitCode: once(child, 'close').then(([code]) => code as number | null),
  }
}

/** The address that a started process logs, once it listens; it may not be ready yet. */
export async function addressOfProcess({ output }: ServiceProcess): Promise<string> {
  return eventually(() => {
    const url = /"event":"service.started","address":"([^"]+)"/.exec(output())?.[1]
    expect(url, `what it has written: ${output()}`).to.be.a('string')
    return url!
  }, 20_000)
}

/** The address that a started process logs, that of the internal listener on demand, once it is ready there. */
export async function urlOf(
  { output }: ServiceProcess,
  event: 'service.started' | 'ops.started' = 'service.started',
): Promise<string> {
  return eventually(async () => {
    const url = new RegExp(`"event":"${event}","address":"([^"]+)"`).exec(output())?.[1]
    expect((await fetch(`${url}/health/ready`)).status).to.equal(200)
    return url!
  }, 20_000)
}

/** What a started process has logged so far, without what else it has written. */
export function linesOf({ output }: ServiceProcess): Record<string, unknown>[] {
  return output()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
