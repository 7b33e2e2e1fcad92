/** Whether a process that serves for long holds more and more memory. */
import { setTimeout as sleep } from 'node:timers/promises'
import { progress } from '../dev/process.ts'
import { createClient, type Client } from './client.ts'
import { inLanes } from './lanes.ts'
import { password, register, type Person } from './people.ts'
import type { LocalServices, Stage } from './stage.ts'
import { lineThrough, type Line } from './statistics.ts'

export interface SoakFigures {
  minutes: number
  warmUpSeconds: number
  requests: Record<Operation, number>
  samples: { atSeconds: number; rssBytes: number; heapBytes: number }[]
  /** Bytes a second after the warm-up. */
  rss: Line
  heap: Line
}

type Operation = 'check' | 'introspect' | 'wrong token' | 'refresh' | 'logout' | 'login'

/** Of a hundred requests; there are as many logins as logouts, so the number of sessions stays. */
const mix: [Operation, number][] = [
  ['check', 70],
  ['introspect', 10],
  ['wrong token', 8],
  ['refresh', 8],
  ['logout', 2],
  ['login', 2],
]
const lanes = 8
const sampleMs = 10_000
/**
 * In which the compiler and the heap find their size: V8 takes room for new objects in steps, up to its bound, and all of
 * them came in this time (figures: bench/README.md). Of a shorter soak it is the larger part.
 */
const warmUpMaxSeconds = 360
const warmUpShareMax = 0.6

/**
 * Sends a mix of requests, as fast as they are answered in eight lanes, to a process with the internal listener, and
 * asks that for the memory every ten seconds.
 *
 * @throws Error when a request is not answered as it should be
 */
export async function measureSoak(
  stage: Stage,
  services: LocalServices,
  { minutes }: { minutes: number },
): Promise<SoakFigures> {
  const opsPort = await stage.freePort()
  const env = { OPS_HOST: '127.0.0.1', OPS_PORT: String(opsPort) }
  const { url } = await stage.startLatchkey('latchkey-soak', env, { pinned: false })
  const operator = { kind: 'operator', id: null, address: null, userAgent: null } as const
  const { client: service, secret } = await services.clients.create('bench', operator)
  const client = createClient(url)
  const ops = createClient(`http://127.0.0.1:${opsPort}`)
  const requests = Object.fromEntries(mix.map(([name]) => [name, 0])) as SoakFigures['requests']
  const endsAt = performance.now() + minutes * 60_000
  try {
    const people = await inLanes(lanes, lanes, () => register(client))
    const credentials = Buffer.from(`${service.id}:${secret}`).toString('base64')
    const lane = async (person: Person) => {
      while (performance.now() < endsAt) {
        stage.signal.throwIfAborted()
        const name = drawn()
        await perform(client, person, credentials, name)
        requests[name] += 1
      }
    }
    const [samples] = await Promise.all([watchMemory(ops, endsAt, stage.signal), ...people.map(lane)])
    const warmUpSeconds = Math.min(warmUpMaxSeconds, minutes * 60 * warmUpShareMax)
    const warm = samples.filter(({ atSeconds }) => atSeconds >= warmUpSeconds)
    return {
      minutes,
      warmUpSeconds,
      requests,
      samples,
      rss: lineThrough(warm.map(({ atSeconds, rssBytes }) => [atSeconds, rssBytes])),
      heap: lineThrough(warm.map(({ atSeconds, heapBytes }) => [atSeconds, heapBytes])),
    }
  } finally {
    client.close()
    ops.close()
  }
}

function drawn(): Operation {
  let left = Math.random() * 100
  return mix.find(([, share]) => (left -= share) < 0)?.[0] ?? 'check'
}

/** The person has one open session at any time: after a logout they log in at once. */
async function perform(client: Client, person: Person, credentials: string, name: Operation): Promise<void> {
  const keep = (answer: string) => {
    const pair = JSON.parse(answer) as { access_token: string; refresh_token: string }
    person.accessToken = pair.access_token
    person.refreshToken = pair.refresh_token
  }
  const check = (token: string, expect: number) => client.call('GET', '/v1/protected', { expect, token })
  const logIn = async () => {
    const body = { email: person.email, password }
    keep(await client.call('POST', '/v1/auth/login', { expect: 200, body }))
  }
  const operations: Record<Operation, () => Promise<unknown>> = {
    check: () => check(person.accessToken, 200),
    'wrong token': () => check(crypto.randomUUID(), 401),
    introspect: () =>
      client.call('POST', '/oauth/introspect', {
        expect: 200,
        credentials,
        body: new URLSearchParams({ token: person.accessToken }),
      }),
    refresh: async () => {
      const body = { refresh_token: person.refreshToken }
      keep(await client.call('POST', '/v1/auth/refresh', { expect: 200, body }))
    },
    logout: async () => {
      await client.call('POST', '/v1/auth/logout', { expect: 204, token: person.accessToken })
      await logIn()
    },
    login: logIn,
  }
  await operations[name]()
}

async function watchMemory(ops: Client, endsAt: number, signal: AbortSignal): Promise<SoakFigures['samples']> {
  const samples: SoakFigures['samples'] = []
  const startedAt = performance.now()
  while (performance.now() < endsAt) {
    await sleep(Math.max(0, Math.min(sampleMs, endsAt - performance.now())), undefined, { signal })
    const text = await ops.call('GET', '/metrics', { expect: 200 })
    const bytes = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1])
    const sample = {
      atSeconds: (performance.now() - startedAt) / 1000,
      rssBytes: bytes('process_resident_memory_bytes'),
      heapBytes: bytes('nodejs_heap_size_used_bytes'),
    }
    samples.push(sample)
    const mib = (size: number) => Math.round(size / 2 ** 20)
    progress(
      `soak: ${Math.round(sample.atSeconds)} s: ${mib(sample.rssBytes)} MiB resident, ${mib(sample.heapBytes)} MiB of heap`,
    )
  }
  return samples
}
