import { Agent, request, type IncomingHttpHeaders } from 'node:http'
import { percentileOf, spreadOf, type Spread } from './statistics.ts'

/** A client for measuring: kept-alive connections, nothing but Node's own HTTP, and an error for an unexpected answer. */
export type Client = ReturnType<typeof createClient>

export interface Call {
  expect: number
  token?: string
  /** Of a service, in the form of HTTP Basic. */
  credentials?: string
  /** A form, or what is sent as JSON. */
  body?: object
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

export function createClient(url: string) {
  const agent = new Agent({ keepAlive: true })

  /** Sends a request and gives whatever is answered. */
  function send(
    method: string,
    path: string,
    { token, credentials, body }: Omit<Call, 'expect'> = {},
  ): Promise<Answer> {
    const isForm = body instanceof URLSearchParams
    const payload = isForm ? body.toString() : body && JSON.stringify(body)
    const headers = {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(credentials && { authorization: `Basic ${credentials}` }),
      ...(payload && {
        'content-type': isForm ? 'application/x-www-form-urlencoded' : 'application/json',
        'content-length': Buffer.byteLength(payload),
      }),
    }
    return new Promise((resolve, reject) => {
      const sent = request(url + path, { method, agent, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
      })
      sent.on('error', reject)
      sent.end(payload)
    })
  }

  /** Sends a request and gives the text of the answer, which must have the expected status. */
  async function call(method: string, path: string, { expect, ...asked }: Call): Promise<string> {
    const { status, text } = await send(method, path, asked)
    if (status !== expect) throw new Error(`${method} ${path} was answered ${status}, not ${expect}: ${text}`)
    return text
  }

  return { send, call, close: () => agent.destroy() }
}

/** What an operation costs its caller. */
export interface Timing {
  concurrency: number
  samples: number
  /** Null where the operations were not sent one after the other without a pause. */
  perSecond: Spread | null
  p50Ms: number
  p99Ms: number
}

const slices = 5
const sliceMs = 1000

/**
 * Repeats an operation in so many lanes for five slices of one second.
 *
 * The spread of the throughput is that of the slices; the latencies are those of all of them together.
 */
export async function timeInLanes(
  concurrency: number,
  signal: AbortSignal,
  operation: (lane: number) => Promise<unknown>,
): Promise<Timing> {
  const latenciesMs: number[] = []
  const perSecond: number[] = []
  for (let slice = 0; slice < slices; slice++) {
    const startedAt = performance.now()
    const before = latenciesMs.length
    const runLane = async (lane: number) => {
      while (performance.now() - startedAt < sliceMs) {
        signal.throwIfAborted()
        latenciesMs.push(await timeOnce(() => operation(lane)))
      }
    }
    await Promise.all(Array.from({ length: concurrency }, (_, lane) => runLane(lane)))
    perSecond.push(((latenciesMs.length - before) * 1000) / (performance.now() - startedAt))
  }
  return { ...timingOf(latenciesMs), concurrency, perSecond: spreadOf(perSecond) }
}

/** How long an operation takes, in milliseconds. */
export async function timeOnce(operation: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await operation()
  return performance.now() - startedAt
}

/** Operations that were timed one at a time, with something else in between. */
export function timingOf(latenciesMs: readonly number[]): Timing {
  const sorted = latenciesMs.toSorted((a, b) => a - b)
  return {
    concurrency: 1,
    samples: sorted.length,
    perSecond: null,
    p50Ms: percentileOf(sorted, 50),
    p99Ms: percentileOf(sorted, 99),
  }
}
