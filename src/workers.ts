import cluster, { type Worker } from 'node:cluster'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from './config.ts'
import { createMetrics, createTally, type Figures, type Metrics } from './metrics/index.ts'
import { createLog, type Log } from './platform/log.ts'
import { lowerPoolPriority } from './platform/pool-priority.ts'
import type { Checks, Readiness } from './platform/readiness.ts'
import { keepRequestsYoung } from './platform/young-objects.ts'
import { serve, serveInternally } from './serve.ts'

/** What the first process asks of the others, and what they answer with. */
interface Answers {
  checks: Checks
  figures: Figures
}
interface Question {
  id: number
  about: keyof Answers
}
interface Reply {
  id: number
  answer: unknown
}
/** What a process that cannot start says before it ends. */
interface Failure {
  failure: string
}

/** Of the first process for an answer; longer than anybody takes to make one. */
const answerMaxMs = 3000
/** Of one that is about to serve, for its stores; without them it then serves 503. */
const patienceMs = 3000
/** All of them drain for eight seconds at most, and then close their stores. */
const stopMaxMs = 9500
/** One that has served so long is replaced at once, whatever came before. */
const steadyMs = 60_000
const pauseMinMs = 100
const pauseMaxMs = 30_000

/**
 * Serves until SIGTERM or SIGINT has come and everything is closed, with as many processes as WEB_CONCURRENCY says.
 *
 * @throws Error when an address cannot be listened on
 */
export async function serveUntilSignal(config: Config): Promise<void> {
  const signal = new Promise<void>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => resolve())
  })
  keepRequestsYoung()
  void lowerPoolPriority()
  if (config.processes === 1) return serveAlone(config, signal)
  if (cluster.isPrimary) return lead(config, signal)
  return work(config, signal)
}

async function serveAlone(config: Config, signal: Promise<void>): Promise<void> {
  const serving = await serve(config)
  await signal
  await serving.close()
}

/** One of several: it serves, and tells the first process how it is. When that is gone, Node.js ends it. */
async function work(config: Config, signal: Promise<void>): Promise<void> {
  const metrics = config.ops ? createMetrics() : undefined
  const tell = (message: Reply | Failure) =>
    new Promise<void>((resolve) => process.send?.(message, undefined, undefined, () => resolve()))
  try {
    const serving = await serve({ ...config, ops: null }, { metrics, patienceMs })
    const answers = { checks: serving.readiness, figures: () => metrics?.figures() }
    const answer = async ({ id, about }: Question) => tell({ id, answer: await answers[about]() })
    process.on('message', (question: Question) => void answer(question))
    await signal
    await serving.close()
    process.exit(0) // the line to the first process would keep it alive
  } catch (error) {
    await tell({ failure: (error as Error).message })
    process.exit(1)
  }
}

/**
 * The first process: it serves nothing but the internal listener, hands the connections out, and sees to it that as many
 * others serve as there should be.
 */
async function lead(config: Config, signal: Promise<void>): Promise<void> {
  const stop = new AbortController()
  const uncounted = createLog(config.logLevel)
  const metrics = config.ops ? createMetrics() : undefined
  const crew = createCrew({
    size: config.processes,
    stopping: stop.signal,
    log: metrics ? metrics.counting(uncounted) : uncounted,
  })
  const ops =
    config.ops && metrics
      ? await serveInternally(config.ops, {
          readiness: crew.readiness,
          metrics: { contentType: metrics.contentType, text: () => crew.metrics(metrics) },
          log: uncounted,
          stopping: () => stop.signal.aborted,
        })
      : undefined
  try {
    await Promise.race([signal, crew.serve()])
  } finally {
    stop.abort()
    await crew.leave()
    await ops?.close()
  }
}

interface Member {
  worker: Worker
  /** Until then it gets no connections, and is not asked. */
  listens: boolean
  ask: <A extends keyof Answers>(about: A) => Promise<Answers[A] | null>
}

function createCrew({ size, stopping, log }: { size: number; stopping: AbortSignal; log: Log }) {
  const members = new Map<number, Member>()
  const tally = createTally()
  let places: Promise<void>[] = []
  let started = 0
  const complete = () => started >= size
  const serving = () => [...members.values()].filter(({ listens }) => listens)

  /** Keeps one of the places filled. @throws Error when whoever is to fill it ends before all have ever listened */
  async function fill(place: number): Promise<void> {
    for (let shortLives = 0; !stopping.aborted;) {
      const startedAt = performance.now()
      const worker = cluster.fork()
      hangUpAtEnd(worker)
      const member = { worker, listens: false, ask: lineTo(worker) }
      members.set(place, member)
      worker.once('listening', () => {
        member.listens = true
        started += 1
      })
      const end = await endOf(worker)
      members.delete(place)
      tally.leave(worker.id)
      if (stopping.aborted) return
      if (!complete()) throw new Error(end.failure ?? `a process that was to serve ended (${end.reason})`)
      shortLives = performance.now() - startedAt < steadyMs ? shortLives + 1 : 0
      const pauseMs = Math.min(pauseMaxMs, pauseMinMs * 2 ** Math.max(0, shortLives - 1))
      const { pid } = worker.process
      log('worker.died', { reason: end.reason, duration_ms: pauseMs, ...(pid !== undefined && { worker: pid }) })
      await delay(pauseMs, undefined, { signal: stopping }).catch(() => undefined)
    }
  }

  /** What all who serve say together: the worst of it, and nothing good before all have begun. */
  const readiness: Readiness = async () => {
    const asked = complete() ? serving().map(async ({ ask }) => (await ask('checks')) ?? silent) : []
    const all = asked.length > 0 ? await Promise.all(asked) : [silent]
    const worst = <C extends keyof Checks>(check: C) =>
      badness[check].find((verdict) => all.some((checks) => checks[check] === verdict))!
    return { redis: worst('redis'), postgres: worst('postgres'), migrations: worst('migrations'), mail: worst('mail') }
  }

  return {
    /** Does not end by itself. @throws Error when the processes cannot start */
    async serve(): Promise<void> {
      cluster.setupPrimary({ serialization: 'advanced' }) // a figure may be NaN, which JSON has no word for
      places = Array.from({ length: size }, (_, place) => fill(place))
      await Promise.all(places)
    },

    readiness,

    async metrics(own: Metrics): Promise<string> {
      await Promise.all(
        serving().map(async ({ worker, ask }) => {
          const figures = await ask('figures')
          if (!worker.isDead()) tally.note(worker.id, figures)
        }),
      )
      return tally.text(await own.figures())
    },

    /** Lets everybody finish and go, and cuts short who takes too long. */
    async leave(): Promise<void> {
      const signalAll = (name: NodeJS.Signals) => {
        for (const { worker } of members.values()) worker.process.kill(name)
      }
      signalAll('SIGTERM')
      const deadline = setTimeout(() => signalAll('SIGKILL'), stopMaxMs)
      await Promise.allSettled(places)
      clearTimeout(deadline)
    },
  }
}

/** Every verdict on a part, the worst first. */
const badness: { [C in keyof Checks]: Checks[C][] } = {
  redis: ['unavailable', 'replaying', 'partial', 'evicts', 'ok'],
  postgres: ['unavailable', 'ok'],
  migrations: ['pending', 'ok'],
  mail: ['degraded', 'off', 'ok'],
}
/** What is taken to be so of a process that does not answer. */
const silent: Checks = { redis: 'unavailable', postgres: 'unavailable', migrations: 'pending', mail: 'degraded' }

/** How a process has ended: by which signal or with which exit code, and what it has said of it. */
function endOf(worker: Worker): Promise<{ reason: string; failure?: string }> {
  return new Promise((resolve) => {
    let said: { failure?: string } = {}
    worker.on('message', (message: Reply | Failure) => {
      if ('failure' in message) said = message
    })
    worker.once('exit', (code, signal) => resolve({ reason: signal ?? `exit code ${code}`, ...said }))
    worker.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => {
      if (worker.process.pid === undefined) resolve({ reason: code }) // the system has no process to give
    })
  })
}

/**
 * Closes the connection that a process was about to take when it died.
 *
 * Node.js forgets it and leaves it open, so that its client would wait for ever. It hands them out by `send`, one at a
 * time; to close one that was taken does nothing.
 */
function hangUpAtEnd({ process: child }: Worker): void {
  const send = child.send.bind(child) as (...all: unknown[]) => boolean
  let given: { close(): void } | undefined
  child.send = (message: unknown, connection?: unknown, ...rest: unknown[]) => {
    if (typeof connection === 'object') given = connection as { close(): void }
    return send(message, connection, ...rest)
  }
  child.once('exit', () => given?.close())
}

/** A way to ask a process; the answer is null when there is none in time. */
function lineTo(worker: Worker): Member['ask'] {
  const open = new Map<number, (answer: unknown) => void>()
  let count = 0
  worker.on('message', (message: Reply | Failure) => {
    if ('id' in message) open.get(message.id)?.(message.answer)
  })
  worker.once('exit', () => {
    for (const settle of open.values()) settle(null)
  })
  return async (about) => {
    if (!worker.isConnected()) return null
    const id = ++count
    const deadline = new AbortController()
    const answered = new Promise<unknown>((resolve) => open.set(id, resolve))
    worker.send({ id, about } satisfies Question, () => undefined)
    const answer = await Promise.race([
      answered,
      delay(answerMaxMs, null, { signal: deadline.signal }).catch(() => null),
    ])
    deadline.abort()
    open.delete(id)
    return answer as never
  }
}
