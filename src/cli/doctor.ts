import { styleText } from 'node:util'
import type { Command } from 'commander'
import { driftKinds, type Drift, type DriftKind } from '../accounts/index.ts'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import { createLog } from '../platform/log.ts'
import { createServices, type Services } from '../services.ts'
import { examples, type Context } from './context.ts'
import { exitCodes } from './exit-codes.ts'
import { operator } from './operator.ts'
import { createProgress } from './progress.ts'
import { printTable } from './table.ts'

/** `info` is nothing to do about, `warning` is to be looked into, `fault` keeps the service from working. */
type Verdict = 'ok' | 'info' | 'warning' | 'fault'

interface Finding {
  check: string
  verdict: Verdict
  says: string
}

interface Options {
  repair?: boolean
  json?: boolean
}

export function addDoctorCommand(program: Command, { config, run }: Context): void {
  program
    .command('doctor')
    .description('examine the stores, the mail server, the sessions and this machine')
    .option('--repair', 'mend what Redis and PostgreSQL do not agree on; safe beside any traffic')
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      examples(
        ['doctor', 'changes nothing'],
        ['doctor --repair', 'after a store was restored, or lost its last writes'],
      ),
    )
    .action((options: Options) => run(() => doctor(config(), options)))
}

/**
 * `doctor`: the exit code is 0 when all is well, 1 when there is something to look into, 3 when a store is away.
 */
async function doctor(config: Config, { repair = false, json }: Options): Promise<number> {
  const services = createServices(config, { log: createLog('silent') })
  try {
    const redis = await heard('redis', () => aboutRedis(services))
    const postgres = await heard('postgres', () => aboutPostgres(services))
    const findings = [...redis, ...postgres, await aboutMail(services)]
    const away = findings.some(isAway)
    if (!away) findings.push(...(await heard('sessions', () => aboutSessions(services, repair))))
    findings.push(aboutAddresses(config), ...(await aboutHashing(services, config)))
    print(findings, json)
    if (away) return exitCodes.unavailable
    return findings.some(({ verdict }) => verdict === 'warning' || verdict === 'fault') ? 1 : 0
  } finally {
    await services.close()
  }
}

const awayText = 'does not answer'
const isAway = ({ says }: Finding) => says === awayText

/** What a check says; where its store is away, that. */
async function heard(check: string, ask: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof AppError && error.code === 'unavailable') return [{ check, verdict: 'fault', says: awayText }]
    throw error
  }
}

const clockAheadMaxMs = 1000
const memoryShareMax = 0.8
const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`

async function aboutRedis({ examine }: Services): Promise<Finding[]> {
  const facts = await examine.redis()
  const { isReplica, evictionPolicy, usedBytes, maxBytes, keepsAppendOnlyFile, clockAheadMs } = facts
  const version = facts.primaries > 1 ? `${facts.version}, ${facts.primaries} primaries` : facts.version
  const full = maxBytes > 0 && usedBytes > memoryShareMax * maxBytes
  return [
    isReplica
      ? {
          check: 'redis',
          verdict: 'fault',
          says: `${version}, a replica: it takes no writes, so nobody logs in or out`,
        }
      : { check: 'redis', verdict: 'ok', says: version },
    evictionPolicy === 'noeviction'
      ? { check: 'redis eviction', verdict: 'ok', says: evictionPolicy }
      : {
          check: 'redis eviction',
          verdict: 'warning',
          says: `${evictionPolicy}: when it is full it signs people out; set maxmemory-policy noeviction`,
        },
    keepsAppendOnlyFile
      ? { check: 'redis persistence', verdict: 'ok', says: 'appendonly yes' }
      : {
          check: 'redis persistence',
          verdict: 'warning',
          says: 'appendonly no: a restart signs people out, or brings ended sessions back; set appendonly yes',
        },
    {
      check: 'redis memory',
      verdict: full ? 'warning' : 'ok',
      says: `${mib(usedBytes)} of ${maxBytes > 0 ? mib(maxBytes) : 'no limit'}${full ? ': when it is full nobody logs in' : ''}`,
    },
    aboutClock('redis clock', clockAheadMs),
  ]
}

async function aboutPostgres({ examine }: Services): Promise<Finding[]> {
  const { version, isReadOnly, pendingMigrations, clockAheadMs } = await examine.postgres()
  return [
    isReadOnly
      ? { check: 'postgres', verdict: 'fault', says: `${version}, which takes no writes: nobody registers or logs in` }
      : { check: 'postgres', verdict: 'ok', says: version },
    pendingMigrations.length === 0
      ? { check: 'migrations', verdict: 'ok', says: 'all have run' }
      : {
          check: 'migrations',
          verdict: 'fault',
          says: `${pendingMigrations.length} have not run: latchkey migrate, or the next start of the service, runs them`,
        },
    aboutClock('postgres clock', clockAheadMs),
  ]
}

function aboutClock(check: string, aheadMs: number): Finding {
  const away = Math.abs(aheadMs)
  const says = `${Math.round(away)} ms ${aheadMs < 0 ? 'behind' : 'ahead of'} this machine`
  return away > clockAheadMaxMs
    ? { check, verdict: 'warning', says: `${says}; have both follow one time server` }
    : { check, verdict: 'ok', says }
}

async function aboutMail({ examine }: Services): Promise<Finding> {
  const answer = await examine.mail()
  if (answer === 'off') return { check: 'mail', verdict: 'info', says: 'SMTP_URL is not set: mails stay queued' }
  return answer === null
    ? { check: 'mail', verdict: 'ok', says: 'the mail server takes mails' }
    : { check: 'mail', verdict: 'warning', says: `the mail server does not take mails: ${answer}` }
}

/** What is said of each kind of drift where there is some. */
const drifts: Record<DriftKind, string> = {
  ended: 'sessions have ended and go on in Redis: their access tokens work until they expire',
  stranded: 'sessions have lost the pointer of their refresh token, and cannot be refreshed',
  dangling: 'tokens lead to no session; they open nothing, and go by themselves',
  lasting: 'keys would stay for ever',
}

async function aboutSessions({ settings, accounts }: Services, repair: boolean): Promise<Finding[]> {
  await settings.reread()
  const progress = createProgress()
  const drift = await accounts
    .reconcile({
      mend: repair,
      by: operator,
      onProgress: ({ keys, keysTotal }) => progress.show(`${keys} of at most ${keysTotal} keys`),
    })
    .finally(progress.done)
  return [
    { check: 'sessions', verdict: 'ok', says: `${drift.openSessions} open, ${drift.keys} keys` },
    ...driftKinds.map((kind) => aboutDrift(kind, drift)),
    ...(drift.isPartial
      ? [
          {
            check: 'sessions',
            verdict: 'warning',
            says: 'there is more than one run looks into: run it again',
          } as const,
        ]
      : []),
  ]
}

function aboutDrift(kind: DriftKind, { found, mended }: Drift): Finding {
  const check = `sessions ${kind}`
  if (found[kind] === 0) return { check, verdict: 'ok', says: 'none' }
  if (mended[kind] === found[kind]) return { check, verdict: 'ok', says: `${found[kind]} mended` }
  const left = mended[kind] > 0 ? `, ${mended[kind]} of them mended` : ''
  return { check, verdict: 'warning', says: `${found[kind]} ${drifts[kind]}${left}` }
}

function aboutAddresses({ trustedProxies }: Config): Finding {
  const says =
    trustedProxies.length === 0
      ? 'who connects is the client; behind a proxy name it in TRUSTED_PROXIES, or all people share its limits'
      : `X-Forwarded-For is believed from ${trustedProxies.join(', ')}, from right to left, and from nobody else`
  return { check: 'client address', verdict: 'info', says }
}

/** OWASP's least for argon2id (Password Storage Cheat Sheet): 19 MiB and 2 passes, or more of one for less of the other. */
const leastWorkKib = 19_456 * 2
const leastMemoryKib = 7168
const hashMs = { least: 50, most: 100, tooMuch: 250 }
const measurings = 5

/** How long a password takes, how many people can log in with that, and which cost would fit this machine. */
async function aboutHashing({ examine }: Services, { hashCost, hashing, processes }: Config): Promise<Finding[]> {
  const { memoryKib, timeCost, parallelism } = hashCost
  const times: number[] = []
  for (let i = 0; i < measurings; i++) times.push(await examine.hash())
  const ms = Math.min(...times) // whatever else the machine does only adds to it
  const atOnce = hashing.atOnce * processes
  const said =
    `${memoryKib} KiB, ${timeCost} passes, ${parallelism} lanes: ${Math.round(ms)} ms a password, so about ` +
    `${((atOnce * 1000) / ms).toFixed(1)} logins a second, ${atOnce} at once, with at most ${mib(memoryKib * 1024 * atOnce)}`
  const advice = adviceOn(hashCost, ms)
  const isWeak = memoryKib < leastMemoryKib || memoryKib * timeCost < leastWorkKib
  const fits = ms >= hashMs.least && ms <= hashMs.most
  if (isWeak)
    return [{ check: 'argon2', verdict: 'warning', says: `${said}; less than OWASP asks for: 19456 KiB, 2 passes` }]
  if (ms > hashMs.tooMuch)
    return [{ check: 'argon2', verdict: 'warning', says: `${said}; slow${advice ? `, ${advice}` : ''}` }]
  return [{ check: 'argon2', verdict: fits ? 'ok' : 'info', says: advice ? `${said}; ${advice}` : said }]
}

/**
 * Which variable would bring a hash near the middle of what is asked for: fewer or more passes, and where two of them
 * take too long, less memory. Time is proportional to either. Null where what is set comes nearest.
 */
function adviceOn({ memoryKib, timeCost }: Config['hashCost'], ms: number): string | null {
  const wishedMs = (hashMs.least + hashMs.most) / 2
  const passes = Math.max(2, Math.round((timeCost * wishedMs) / ms))
  if (passes !== timeCost)
    return `ARGON2_TIME_COST=${passes} would take about ${Math.round((ms * passes) / timeCost)} ms here`
  const memory = Math.max(leastWorkKib / 2, Math.floor((memoryKib * wishedMs) / ms / 1024) * 1024)
  if (ms <= hashMs.most || memory >= memoryKib) return null
  return `ARGON2_MEMORY_KIB=${memory} would take about ${Math.round((ms * memory) / memoryKib)} ms here`
}

const colours = { ok: 'green', info: 'cyan', warning: 'yellow', fault: 'red' } as const

function print(findings: Finding[], json: boolean | undefined): void {
  if (json) for (const finding of findings) console.log(JSON.stringify(finding))
  else {
    printTable(
      ['VERDICT', 'CHECK', 'SAYS'],
      findings.map(({ verdict, check, says }) => [verdict, check, says]),
      (line) => {
        const verdict = findings.map((finding) => finding.verdict).find((each) => line.startsWith(`${each} `))
        return verdict ? styleText(colours[verdict], verdict) + line.slice(verdict.length) : line
      },
    )
  }
}
