import fs from 'node:fs'
import path from 'node:path'
import { run } from '../dev/process.ts'
import type { Cores } from './cores.ts'

/** What a server is asked: a POST when there is a body, else a GET. */
export interface Request {
  headers: Record<string, string>
  body?: string
}

/** Writes requests as wrk.lua reads them. */
export function writeRequests(file: string, requests: readonly Request[]): void {
  const lines = requests.map(({ headers, body = '' }) =>
    [body, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)].join('\t'),
  )
  fs.writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
}

/** What one burst of load came to. */
export interface Burst {
  perSecond: number
  p50Ms: number
  p99Ms: number
}

interface Printed {
  requests: number
  durationUs: number
  p50Us: number
  p99Us: number
  failed: number
}

/**
 * Sends as many requests as the server answers, over a fixed number of kept-alive connections, with one wrk thread.
 *
 * Each connection sends its next request when it has its answer. So the latencies are those of a saturated server: by
 * and large connections divided by throughput, and not what a caller of a half idle one would see.
 *
 * @throws Error when a single answer was not a success, for then it is not the check of live tokens that was measured
 */
export async function load({
  wrk,
  url,
  requestsFile,
  spend,
  connections,
  seconds,
  cores,
  signal,
}: {
  wrk: string
  url: string
  /** What wrk.lua sends, or the tokens that are to be spent, one a line. */
  requestsFile: string
  /** Each token is good for one request of this kind, as wrk-spend.lua says. */
  spend?: 'refresh' | 'logout'
  connections: number
  seconds: number
  cores: Cores | null
  signal: AbortSignal
}): Promise<Burst> {
  const script = path.join(import.meta.dirname, spend ? 'wrk-spend.lua' : 'wrk.lua')
  const given = spend ? [requestsFile, spend] : [requestsFile]
  // On a busy machine a slow server may keep somebody waiting for longer than the two seconds after which wrk counts a failure.
  const line = [wrk, '-t1', '--timeout=10s', `-c${connections}`, `-d${seconds}s`, '-s', script, url, '--', ...given]
  const [command, ...args] = cores ? ['taskset', '-c', cores.rest, ...line] : line
  const { status, output } = await run(command!, args, { signal })
  const json = /^\{.*\}$/m.exec(output)?.[0]
  if (status !== 0 || json === undefined) throw new Error(`wrk failed:\n${output}`)
  const { requests, durationUs, p50Us, p99Us, failed } = JSON.parse(json) as Printed
  if (failed > 0 || requests === 0) throw new Error(`${failed} of ${requests} requests to ${url} failed:\n${output}`)
  return { perSecond: requests / (durationUs / 1e6), p50Ms: p50Us / 1000, p99Ms: p99Us / 1000 }
}
