import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { databaseUrl, keyPrefix, redisUrl } from './stores.ts'

const root = new URL('../..', import.meta.url).pathname
const command =
  process.env['LATCHKEY_UNDER_TEST'] === 'build' ? ['dist/src/cli/main.js'] : ['--import', 'tsx', 'src/cli/main.ts']

/** Runs the operator's command line, with no API there. */
export async function latchkey(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [...command, ...args], {
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: databaseUrl(),
      REDIS_URL: redisUrl(),
      KEY_PREFIX: keyPrefix,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
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
