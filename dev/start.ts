/** `npm start`: private PostgreSQL and Redis and a mail catcher, then the API on them, until Ctrl-C. */
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { styleText } from 'node:util'
import { readConfig } from '../src/config.ts'
import { serve } from '../src/serve.ts'
import { startMailCatcher, type MailCatcher } from './mail.ts'
import { dataDir, startUrl } from './places.ts'
import { progress } from './process.ts'
import { startStores, type Stores } from './stores.ts'

/** The API drains within 10 s; if it does not, the stores are stopped all the same. */
const closeTimeoutMs = 12_000

const startedAt = performance.now()
const interrupt = new AbortController()
let stores: Stores | undefined
let catcher: MailCatcher | undefined
let api: Awaited<ReturnType<typeof serve>> | undefined
let stopping: Promise<void> | undefined

/** Closes the API, then the stores. Once only: npm passes a Ctrl-C on, so that every one arrives twice. */
function stop(exitCode: number): Promise<void> {
  stopping ??= (async () => {
    process.exitCode = exitCode
    interrupt.abort()
    await starting.catch(() => undefined)
    await Promise.race([api?.close(), sleep(closeTimeoutMs)]).catch(explain)
    await Promise.all([catcher?.stop(), stores?.stop()]).catch(explain)
    process.exit()
  })()
  return stopping
}

function explain(error: unknown): void {
  process.exitCode = 1
  if (!(error instanceof Error)) progress(String(error))
  else if ('code' in error && error.code === 'EADDRINUSE')
    progress(`the port is taken (${error.message}). Set another one: PORT=3001 npm start`)
  else progress(['Error', 'ConfigError'].includes(error.name) ? error.message : (error.stack ?? error.message))
}

async function start(): Promise<void> {
  stores = await startStores({ name: 'dev', ephemeral: false, signal: interrupt.signal })
  const { env, redisCli } = stores
  if (!process.env['SMTP_URL']) catcher = await startMailCatcher({ onMail: progress })
  const publicUrl = process.env['PUBLIC_URL'] || startUrl
  const config = readConfig({ ...process.env, ...env, ...catcher?.env, PUBLIC_URL: publicUrl })
  interrupt.signal.throwIfAborted()
  noteForCommandLine(env)
  api = await serve(config)
  await api.migrated
  if (!interrupt.signal.aborted) greet(api, env, redisCli)
}

/** Writes down where the stores are that this has started, for `latchkey` in another shell. */
function noteForCommandLine(env: Stores['env']): void {
  const ours = Object.entries(env).filter(([name]) => !process.env[name])
  const lines = ours.map(([name, value]) => `${name}='${value}'\n`)
  fs.writeFileSync(path.join(dataDir, 'env'), lines.join(''), { mode: 0o600 })
}

function greet(
  { url, opsUrl }: Awaited<ReturnType<typeof serve>>,
  env: Stores['env'],
  redisCli: string | undefined,
): void {
  const colourful = process.stdout.isTTY && !process.env['NO_COLOR']
  const paint = (format: 'bold' | 'dim' | 'green', text: string) => (colourful ? styleText(format, text) : text)
  const line = (name: string, value: string) => `  ${paint('dim', name.padEnd(9))}${value}`
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const lines = [
    '',
    `${paint('green', 'Latchkey is ready')} (${seconds} s). Ctrl-C stops it; its data stays in .data/.`,
    '',
    line('API', `${paint('bold', url)}, described at ${url}/docs`),
    line('Metrics', opsUrl ? `${opsUrl}/metrics` : 'off; OPS_PORT=9464 npm start serves them'),
    line('Redis', redisCli ?? masked(env.REDIS_URL)),
    line('Postgres', masked(env.DATABASE_URL)),
    line('Mail', catcher ? `caught in ${catcher.folder}/, none leaves this machine` : 'sent to SMTP_URL'),
    '',
    paint('dim', '  The first person to register:'),
    '',
    `curl -sS ${url}/v1/auth/register \\`,
    `  -H 'content-type: application/json' \\`,
    `  -d '{"email":"ada@example.com","password":"correct horse battery staple"}'`,
    '',
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** A connection string without its password. */
function masked(url: string): string {
  return url.replaceAll(/:\/\/([^:@/]*):[^@]*@/g, '://$1:***@').replaceAll(/([?&]password=)[^&]*/gi, '$1***')
}

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => void stop(0))
for (const name of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(name, (error: unknown) => {
    explain(error)
    void stop(1)
  })
// Whoever read them may be gone (a closed terminal); that must not get in the way of stopping.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

// npm that is killed cannot pass anything on; without it nobody would know of this process, which has the port.
if (process.env['npm_lifecycle_event']) {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) void stop(0)
  }, 500).unref()
}

const starting = start()
starting.catch((error: unknown) => {
  if (stopping) return
  explain(error)
  void stop(1)
})
