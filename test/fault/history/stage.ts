import { expect } from 'chai'
import { createClient, type ApiClient } from '../../support/client.ts'
import { aServiceClient, startProcess, type ServiceProcess } from '../../support/command-line.ts'
import { eventually } from '../../support/eventually.ts'
import { untilReadyIs } from '../../support/faults.ts'
import { ownPostgres, ownRedis, type OwnRedis } from '../../support/own-stores.ts'
import { addressOf, startProxy, urlThrough, type Proxy } from '../../support/proxy.ts'
import { startService } from '../../support/service.ts'
import { startSmtp } from '../../support/smtp.ts'
import { systemClock } from '../../../src/platform/clock.ts'

/** An instance of the service, with proxies of its own before both stores. */
export interface Instance {
  name: string
  client: () => ApiClient
  redis: Proxy
  postgres: Proxy
  /** Kills the process and starts another one; only of an instance that is a process of its own. */
  restart?: () => Promise<void>
}

export type Stage = Awaited<ReturnType<typeof openStage>>

/** How long a refresh that is retried gets the same pair again; short, so that a run sees both sides of its end. */
export const graceSeconds = 2

/**
 * Three instances on one database and one Redis, all of their own; the third one is a process.
 *
 * Their clocks are that of the machine, so that what one of them writes is judged by the others as in operation.
 */
export async function openStage() {
  const [postgres, primary, spare, smtp] = await Promise.all([ownPostgres(), ownRedis(), ownRedis(), startSmtp()])
  let redis: { now: OwnRedis; spare: OwnRedis } = { now: primary, spare }
  const proxies: Proxy[] = []

  async function proxied() {
    const [before, beside] = await Promise.all([
      startProxy(addressOf(redis.now.url)),
      startProxy(addressOf(postgres.url)),
    ])
    proxies.push(before, beside)
    const env = {
      REDIS_URL: urlThrough(before, redis.now.url),
      DATABASE_URL: urlThrough(beside, postgres.url),
      ...smtp.env,
      SETTING_REFRESH_GRACE_SECONDS: String(graceSeconds),
      SETTING_SESSIONS_PER_USER_MAX: '1000',
      SETTING_WRONG_PASSWORDS_WINDOW_SECONDS: '1',
      SETTING_WRONG_PASSWORDS_MAX: '100',
      SETTING_MAILS_PER_PERSON_MAX: '1000',
      ARGON2_MEMORY_KIB: '1024',
      ARGON2_TIME_COST: '2',
    }
    return { redis: before, postgres: beside, env }
  }

  const clock = { now: () => systemClock.now(), pass: () => undefined }
  const services = await Promise.all(
    ['one', 'two'].map(async (name) => {
      const { env, ...theirs } = await proxied()
      const service = await startService(env, { clock })
      await service.migrated
      return Object.assign(theirs, { name, client: () => service.client, close: service.close })
    }),
  )
  const { env, ...theirs } = await proxied()
  let child: ServiceProcess
  let client: ApiClient
  const start = async () => {
    child = startProcess(env)
    // It answers before it is ready, and that may take until a fault is over.
    client = createClient(await listening(child))
  }
  const kill = async () => {
    child.process.kill('SIGKILL')
    await child.exitCode
  }
  await start()
  await untilReadyIs(200, client!)
  const three: Instance = {
    name: 'three',
    ...theirs,
    client: () => client,
    async restart() {
      await kill()
      await start()
    },
  }
  const { authorization } = await aServiceClient({ DATABASE_URL: postgres.url, REDIS_URL: redis.now.url })

  return {
    instances: [...services, three] as Instance[],
    postgres,
    redis: () => redis.now,
    smtp,
    /** Of a service that may introspect. */
    authorization,
    /** Copies the content of Redis, as it is at one moment. */
    copyRedis: () => contentOf(redis.now),
    /** Puts another Redis with this content in the place of the one that all instances have known. */
    async replaceRedis(content: Content): Promise<void> {
      // A process that was there before would pass for the one that an instance knows already.
      await redis.spare.kill()
      await redis.spare.start()
      const all = [...services, three].map((instance) => instance.redis)
      for (const proxy of all) proxy.begin({ kind: 'refuse' })
      await fill(redis.spare, content)
      redis = { now: redis.spare, spare: redis.now }
      for (const proxy of all) {
        proxy.retarget(addressOf(redis.now.url))
        proxy.heal()
      }
    },
    async close(): Promise<void> {
      await kill()
      await Promise.all(services.map((service) => service.close()))
      await Promise.all([...proxies.map((proxy) => proxy.close()), smtp.stop()])
      await Promise.all([primary.discard(), spare.discard(), postgres.discard()])
    },
  }
}

const startMaxMs = 60_000

/** The address that a process logs once it listens. */
function listening({ output }: ServiceProcess): Promise<string> {
  return eventually(() => {
    const url = /"address":"([^"]+)"/.exec(output())?.[1]
    expect(url, output()).to.be.a('string')
    return url!
  }, startMaxMs)
}

/** Three values a key: its name, its content, how many milliseconds it has left. */
export type Content = [name: Buffer, dump: Buffer, leftMs: number][]

/** One script, so that no write comes between two keys. */
const dumpAll = `
local found = {}
for i, key in ipairs(redis.call('KEYS', '*')) do
  found[i] = { key, redis.call('DUMP', key), redis.call('PTTL', key) }
end
return found
`

async function contentOf(redis: OwnRedis): Promise<Content> {
  return (await redis.operator().callBuffer('EVAL', dumpAll, '0')) as Content
}

async function fill(redis: OwnRedis, content: Content): Promise<void> {
  const operator = redis.operator()
  await operator.flushall()
  const pipeline = operator.pipeline()
  for (const [name, dump, leftMs] of content) pipeline.restore(name, Math.max(leftMs, 0), dump)
  for (const [error] of (await pipeline.exec())!) if (error) throw error
}
