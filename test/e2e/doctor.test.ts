import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import type { Redis } from 'ioredis'
import knexModule, { type Knex } from 'knex'
import { migrationSource } from '../../migrations/index.ts'
import { migrate } from '../../src/platform/migrate.ts'
import { parsePointer } from '../../src/sessions/keys.ts'
import type { Tokens } from '../support/client.ts'
import { latchkey } from '../support/command-line.ts'
import { ownRedis, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, aSession, password, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp } from '../support/smtp.ts'
import { ownDatabase } from '../support/stores.ts'

describe('latchkey doctor', function () {
  this.timeout(120_000)
  let store: OwnRedis
  let redis: Redis
  let database: Awaited<ReturnType<typeof ownDatabase>>
  let knex: Knex
  let service: TestService
  const env = () => ({ DATABASE_URL: database.url, REDIS_URL: store.url, KEY_PREFIX: 'latchkey:' })
  const setOf = ({ id }: Someone) => `latchkey:sessions:{${id}}`

  before(async () => {
    ;[store, database] = await Promise.all([ownRedis(), ownDatabase()])
    await migrate(database.url, migrationSource)
    redis = store.operator()
    knex = knexModule({ client: 'pg', connection: database.url, pool: { min: 0, max: 2 } })
    service = await startService(env(), { clock: { now: () => Date.now(), pass: () => undefined } })
    await service.migrated
  })
  after(async () => {
    await service.close()
    await knex.destroy()
    await store.discard()
    await database.drop()
  })

  interface Finding {
    check: string
    verdict: string
    says: string
  }

  /** What it finds, by the name of the check. */
  async function examine(args: string[] = [], others: Record<string, string> = {}) {
    const { code, out, errors } = await latchkey(['doctor', '--json', ...args], { ...env(), ...others })
    expect(errors).to.equal('')
    const findings = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Finding)
    return {
      code,
      of: Object.fromEntries(findings.map((finding) => [finding.check, finding])) as Record<string, Finding>,
    }
  }

  const pointerTo = async (sessionId: string) => {
    const keys = await redis.keys('latchkey:rt:*')
    const targets = await redis.mget(keys)
    return keys.find((_, i) => parsePointer(targets[i]!)?.sessionId === sessionId)!
  }

  it('exits with 0 when all is well, and says what it has looked at', async () => {
    await aPerson(service.client)

    const { code, of } = await examine()

    const bad = Object.values(of).filter(({ verdict }) => !['ok', 'info'].includes(verdict))
    expect(bad).to.deep.equal([])
    expect(code).to.equal(0)
    expect(of['redis']!.says).to.match(/^(Redis|Valkey) \d/)
    expect(of['postgres']!.says).to.match(/^PostgreSQL \d/)
    expect(of['sessions']!.says).to.match(/^\d+ open, \d+ keys$/)
    expect(of['mail']!.says).to.include('SMTP_URL is not set')
    expect(of['client address']!.says).to.include('TRUSTED_PROXIES')
    expect(of['argon2']!.says).to.match(
      /^19456 KiB, 2 passes, 1 lanes: \d+ ms a password, so about [\d.]+ logins a second, \d at once, with at most \d+ MiB/,
    )
    expect((await latchkey(['doctor'], env())).out).to.match(/^ok\tredis\t/)
  })

  it('finds each kind of drift, mends it on demand and leaves all else as it is', async () => {
    const { client } = service
    const people = await Promise.all(Array.from({ length: 7 }, () => aPerson(client)))
    const [journalled, moved, disabled, unknown, stranded, dangling, lasting] = people as [
      Someone,
      Someone,
      Someone,
      Someone,
      Someone,
      Someone,
      Someone,
    ]
    const bystander = await aPerson(client)
    await knex('session_endings').insert({
      session_id: journalled.tokens.session.id,
      user_id: journalled.id,
      reason: 'logged-out',
      // Longer ago than an instance that has met a Redis tells it again by itself.
      ended_at: new Date(Date.now() - 3_600_000),
    })
    await knex('users').where({ id: moved.id }).increment('session_epoch', 1)
    await knex('users').where({ id: disabled.id }).update({ disabled_at: new Date() })
    await knex('users').where({ id: unknown.id }).del()
    await redis.del(await pointerTo(stranded.tokens.session.id))
    const left = await pointerTo(dangling.tokens.session.id)
    await redis.hdel(setOf(dangling), dangling.tokens.session.id)
    await redis.persist(setOf(lasting))
    const counts = { ended: '4 ', stranded: '1 ', dangling: '2 ', lasting: '1 ' }

    const found = await examine()
    expect(found.code).to.equal(1)
    for (const [kind, count] of Object.entries(counts)) {
      expect(found.of[`sessions ${kind}`]!.verdict, kind).to.equal('warning')
      expect(found.of[`sessions ${kind}`]!.says).to.match(new RegExp(`^${count}`))
    }
    expect((await client.me(journalled.tokens.access_token)).status).to.equal(200)

    const mended = await examine(['--repair'])
    expect(mended.code).to.equal(0)
    for (const [kind, count] of Object.entries(counts))
      expect(mended.of[`sessions ${kind}`]!.says).to.equal(`${count}mended`)

    const reasons = await Promise.all(
      [journalled, moved, disabled, unknown].map(
        async ({ tokens }) => (await client.me(tokens.access_token)).body.reason as string,
      ),
    )
    expect(reasons).to.deep.equal(['logged-out', 'revoked', 'disabled', 'revoked'])
    expect((await client.refresh(stranded.tokens.refresh_token)).status).to.equal(200)
    expect(await redis.exists(left)).to.equal(0)
    expect(await redis.ttl(setOf(lasting))).to.be.greaterThan(86_400)
    for (const { tokens } of [bystander, lasting]) {
      expect((await client.me(tokens.access_token)).status).to.equal(200)
      expect((await client.refresh(tokens.refresh_token)).status).to.equal(200)
    }
    const audited = await knex('audit_events').where({ session_id: moved.tokens.session.id, event: 'session.ended' })
    expect(audited[0]).to.include({ actor: 'operator', user_id: moved.id })
    expect((await examine()).code).to.equal(0)
  })

  it('leaves alone what was half done at its first look', async () => {
    const { client } = service
    const someone = await aPerson(client)
    const json = (await redis.hget(setOf(someone), someone.tokens.session.id))!
    await redis.hdel(setOf(someone), someone.tokens.session.id)
    const watching = await redis.monitor()
    const looked = new Promise<void>((resolve) =>
      watching.on('monitor', (_at: string, [command, key]: string[]) => {
        if (/^hexists$/i.test(command!) && key === setOf(someone)) resolve()
      }),
    )

    const repairing = examine(['--repair'])
    await looked.finally(() => watching.disconnect())
    await redis.hset(setOf(someone), someone.tokens.session.id, json)

    expect((await repairing).of['sessions dangling']!.says).to.equal('none')
    expect((await client.me(someone.tokens.access_token)).status).to.equal(200)
    expect((await client.refresh(someone.tokens.refresh_token)).status).to.equal(200)
  })

  it('mends beside logins, refreshes, changes of password and logouts, and ends nothing that is alive', async () => {
    const { client } = service
    const alive: Tokens[] = []
    const mending = { isOver: false }
    const busy = async () => {
      while (!mending.isOver) {
        const someone = await aPerson(client)
        const second = await aSession(client, someone)
        const changed = await client.post('/v1/me/password', {
          token: someone.tokens.access_token,
          body: { current_password: password, new_password: `${password} ${randomUUID()}` },
        })
        expect(changed.status, changed.text).to.equal(200)
        expect((await client.me(second.access_token)).status).to.equal(401)
        const refreshed = await client.refresh((changed.body as Tokens).refresh_token)
        expect(refreshed.status, refreshed.text).to.equal(200)
        alive.push(refreshed.body as Tokens)
      }
    }
    const crowd = Promise.all(Array.from({ length: 4 }, busy))

    while (alive.length <= 20) {
      const { of } = await examine(['--repair'])
      for (const kind of ['ended', 'stranded', 'lasting']) expect(of[`sessions ${kind}`]!.says, kind).to.equal('none')
    }
    mending.isOver = true
    await crowd

    for (const { access_token, refresh_token } of alive) {
      expect((await client.me(access_token)).status).to.equal(200)
      expect((await client.refresh(refresh_token)).status).to.equal(200)
    }
  })

  it('says which store is away, looks at the rest all the same, and exits with 3', async () => {
    const withoutRedis = await examine([], { REDIS_URL: 'redis://127.0.0.1:1' })
    expect(withoutRedis.code).to.equal(3)
    expect(withoutRedis.of['redis']).to.deep.include({ verdict: 'fault', says: 'does not answer' })
    expect(withoutRedis.of['postgres']!.verdict).to.equal('ok')

    const withoutPostgres = await examine([], { DATABASE_URL: 'postgres://127.0.0.1:1/none' })
    expect(withoutPostgres.code).to.equal(3)
    expect(withoutPostgres.of['postgres']).to.deep.include({ verdict: 'fault', says: 'does not answer' })
    expect(withoutPostgres.of['redis']!.verdict).to.equal('ok')
  })

  it('warns of an eviction policy, of a Redis that keeps nothing, of one that is nearly full, and of a replica', async () => {
    const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))![1])
    const before = { 'maxmemory-policy': 'noeviction', appendonly: 'yes', maxmemory: '0' }
    const bad = { maxmemory: String(Math.round(used * 1.2)), appendonly: 'no' }
    for (const [name, value] of Object.entries(bad)) await redis.config('SET', name, value)
    const full = await examine()
    await redis.config('SET', 'maxmemory', '0', 'maxmemory-policy', 'allkeys-lru')
    const evicting = await examine()
    for (const [name, value] of Object.entries(before)) await redis.config('SET', name, value)
    expect([full.code, evicting.code]).to.deep.equal([1, 1])
    expect(full.of['redis persistence']!.verdict).to.equal('warning')
    expect(full.of['redis memory']!.says).to.include('when it is full nobody logs in')
    expect(evicting.of['redis eviction']!.says).to.include('set maxmemory-policy noeviction')

    await redis.replicaof('127.0.0.1', 1)
    const { of } = await examine()
    await redis.replicaof('NO', 'ONE')
    expect(of['redis']).to.deep.include({ verdict: 'fault' })
  })

  it('warns of migrations that have not run, and of clocks that are apart', async () => {
    const empty = await ownDatabase()
    const unmigrated = await examine([], { DATABASE_URL: empty.url })
    expect(unmigrated.of['migrations']!.says).to.match(/^\d+ have not run/)
    await empty.drop()

    const late = `data:text/javascript,${encodeURIComponent('const now = Date.now; Date.now = () => now() - 5000')}`
    const { of } = await examine([], { NODE_OPTIONS: `--import=${late}` })
    for (const name of ['redis', 'postgres']) {
      expect(of[`${name} clock`]!.verdict).to.equal('warning')
      expect(of[`${name} clock`]!.says).to.match(/^(4[89]|50)\d\d ms ahead of this machine/)
    }
  })

  it('greets the mail server, and tells why it does not take mails', async () => {
    const smtp = await startSmtp()
    expect((await examine([], smtp.env)).of['mail']).to.deep.include({ verdict: 'ok' })
    await smtp.stop()
    const { of } = await examine([], smtp.env)
    expect(of['mail']).to.deep.include({ verdict: 'warning' })
    expect(of['mail']!.says).to.include('ECONNREFUSED')
  })

  it('warns of hashes that are cheaper than OWASP asks for', async () => {
    const { code, of } = await examine([], { ARGON2_MEMORY_KIB: '1024' })
    expect(code).to.equal(1)
    expect(of['argon2']).to.deep.include({ verdict: 'warning' })
    expect(of['argon2']!.says).to.include('less than OWASP asks for')
  })
  it('says how many can log in, and which cost would fit a machine on which a hash takes too long', async () => {
    const memory = { ARGON2_MEMORY_KIB: '524288', HASHES_AT_ONCE: '2', WEB_CONCURRENCY: '2' }
    const { code, of } = await examine([], memory)
    expect(code).to.equal(1)
    expect(of['argon2']).to.deep.include({ verdict: 'warning' })
    const [, ms, logins, advised] =
      /: (\d+) ms a password, so about ([\d.]+) logins a second, 4 at once, with at most 2048 MiB; slow, ARGON2_MEMORY_KIB=(\d+) would/.exec(
        of['argon2']!.says,
      ) ?? []
    expect(Number(logins)).to.be.closeTo(4000 / Number(ms), 0.2)
    expect(Number(advised)).to.be.within(19_456, 524_287)

    const passes = await examine([], { ARGON2_TIME_COST: '40' })
    expect(passes.of['argon2']!.says).to.match(/; slow, ARGON2_TIME_COST=\d+ would take about \d+ ms here$/)
  })
})
