/** `npm run bench` and `npm run bench:peers`: measures Latchkey on this machine. See bench/README.md for what is measured, and how. */
import fs from 'node:fs'
import os from 'node:os'
import { parseArgs } from 'node:util'
import { progress, run } from '../dev/process.ts'
import { measureCapacity } from './capacity.ts'
import { measureCheck } from './check.ts'
import { measureCluster } from './cluster.ts'
import { measureMemory } from './memory.ts'
import { measureOperations } from './operations.ts'
import { measurePeers } from './peers.ts'
import { asPlot } from './plot.ts'
import { asMarkdown, asText, tablesOf, type Figures } from './report.ts'
import { measureScale } from './scale.ts'
import { measureSoak } from './soak.ts'
import { openStage, root } from './stage.ts'
import { measureStart } from './start.ts'
import { measureStorm } from './storm.ts'
import { measureTiming } from './timing.ts'

const usage = `Usage: npm run bench -- [options]

  --rounds N       rounds of the token check, the writes, the scale, or with the peers, and how many starts (9)
  --seconds N      of one burst of load (2); a phase of the storm and a wait for memory to settle take five times as long
  --connections N  connections of the load (64)
  --sessions N     in the largest Redis of the scale (1000000); 5000000 take 6 GB and two minutes more
  --minutes N      of the soak (10)
  --only PART      one part only: check, operations, memory, capacity, timing, storm, start, scale, cluster, soak or
                   peers (npm run bench:peers); without it all but the last three
  --svg FILE       a plot of the peers besides
  --json           figures as JSON
  --markdown       tables as they stand in bench/README.md
`
const standard = ['check', 'operations', 'memory', 'capacity', 'timing', 'storm', 'start', 'scale'] as const
/** Six more servers, a long time, and packages that have to be installed first. */
const onRequest = ['cluster', 'soak', 'peers'] as const
const parts = [...standard, ...onRequest] as const
const busyLoad = 0.5

interface Options {
  rounds: number
  seconds: number
  connections: number
  sessions: number
  minutes: number
  parts: readonly (typeof parts)[number][]
  form: 'text' | 'markdown' | 'json'
  svgFile: string | undefined
}

/** @throws Error that says which option is wrong */
function readOptions(): Options | 'help' {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '9' },
      seconds: { type: 'string', default: '2' },
      connections: { type: 'string', default: '64' },
      sessions: { type: 'string', default: '1000000' },
      minutes: { type: 'string', default: '10' },
      only: { type: 'string' },
      svg: { type: 'string' },
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return 'help'
  const whole = (name: 'rounds' | 'seconds' | 'connections' | 'sessions' | 'minutes', min = 1, max = 9999) => {
    const value = /^\d{1,8}$/.test(values[name]) ? Number(values[name]) : Number.NaN
    if (!(value >= min && value <= max)) throw new Error(`--${name} must be a whole number from ${min} to ${max}`)
    return value
  }
  const asked = values.only === undefined ? standard : parts.filter((part) => part === values.only)
  if (asked.length === 0) throw new Error(`--only must be one of ${parts.join(', ')}`)
  if (values.svg !== undefined && values.only !== 'peers') throw new Error('--svg needs --only peers')
  return {
    rounds: whole('rounds'),
    seconds: whole('seconds'),
    connections: whole('connections'),
    sessions: whole('sessions', 1000, 20_000_000),
    minutes: whole('minutes'),
    parts: asked,
    form: values.json ? 'json' : values.markdown ? 'markdown' : 'text',
    svgFile: values.svg,
  }
}

async function bench(options: Options, signal: AbortSignal): Promise<Figures> {
  const { rounds, seconds, connections, sessions, minutes, parts: asked } = options
  const [loadBefore = 0] = os.loadavg()
  if (loadBefore > busyLoad)
    progress(`this machine is busy (load ${loadBefore.toFixed(1)}): the figures will be lower and further apart`)
  progress('building')
  const build = await run(process.execPath, ['--import', 'tsx', 'dev/build.ts'], { cwd: root, signal })
  if (build.status !== 0) throw new Error(`The build failed:\n${build.output}`)
  progress('starting PostgreSQL, Redis and Latchkey')
  const stage = await openStage(signal)
  try {
    const figures: Figures = {
      machine: {
        date: new Date().toISOString().slice(0, 10),
        cores: os.availableParallelism(),
        pinned: stage.cores !== null,
        node: process.versions.node,
        redis: await stage.redisVersion(),
        loadBefore,
      },
    }
    const services = await stage.openServices(stage.redisUrl)
    const servers = { fixed: await stage.startFixed(), latchkey: await stage.startLatchkey() }
    const longSeconds = 5 * seconds
    // First and last: whoever starts tells Redis of all endings of late, and the capacity leaves twenty thousand.
    if (asked.includes('start'))
      figures.start = await measureStart(stage, services, { starts: rounds, settleSeconds: longSeconds })
    if (asked.includes('check'))
      figures.check = await measureCheck(stage, services, servers, { rounds, seconds, connections })
    if (asked.includes('cluster'))
      figures.cluster = await measureCluster(stage, services, servers, { rounds, seconds, connections })
    if (asked.includes('operations'))
      figures.operations = await measureOperations(stage, services, servers, { rounds, seconds, connections })
    if (asked.includes('memory')) figures.memory = await measureMemory(stage)
    if (asked.includes('timing')) figures.timing = await measureTiming(stage, servers.latchkey)
    if (asked.includes('peers'))
      figures.peers = await measurePeers(stage, services, servers, { rounds, seconds, connections })
    if (asked.includes('storm')) figures.storm = await measureStorm(stage, services, { phaseSeconds: longSeconds })
    if (asked.includes('scale')) figures.scale = await measureScale(stage, { rounds, seconds, connections, sessions })
    if (asked.includes('soak')) figures.soak = await measureSoak(stage, services, { minutes })
    if (asked.includes('capacity')) figures.capacity = await measureCapacity(stage)
    return figures
  } finally {
    await stage.close()
  }
}

function print(figures: Figures, { form, svgFile }: Options): void {
  const { date, cores, pinned, node, redis, loadBefore } = figures.machine
  const machine =
    `${date}, ${cores} cores${pinned ? ', server pinned to one, load and Redis to the rest' : ''}, ` +
    `Node ${node}, Redis ${redis}, load before ${loadBefore.toFixed(2)}`
  if (svgFile !== undefined && figures.peers) fs.writeFileSync(svgFile, asPlot(figures.peers, machine))
  const tables = tablesOf(figures)
  const colourful = process.stdout.isTTY && !process.env['NO_COLOR']
  if (form === 'json') console.log(JSON.stringify(figures, null, 2))
  else if (form === 'markdown') console.log(`${asMarkdown(tables)}\n\nMeasured: ${machine}.`)
  else console.log(`\n${asText(tables, colourful)}\n\n${machine}`)
}

/** An error with what caused it: a store that is away says only that. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${reasonOf(error.cause)}`
}

// Whatever ends a run early, a Ctrl-C or an error nobody waited for, ends it here: by stopping what was started.
const interrupt = new AbortController()
const interrupted = new Error('interrupted; all that was started is stopped')
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interrupt.abort(interrupted))
for (const name of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(name, (error: unknown) => interrupt.abort(error))

try {
  const options = readOptions()
  if (options === 'help') console.log(usage)
  else print(await bench(options, interrupt.signal), options)
} catch (error) {
  const reason: unknown = interrupt.signal.aborted ? interrupt.signal.reason : error
  progress(reasonOf(reason))
  process.exitCode = reason === interrupted ? 130 : 1
}
