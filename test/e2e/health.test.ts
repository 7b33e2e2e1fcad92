import { expect } from 'chai'
import { eventually } from '../support/eventually.ts'
import { ownRedis, type OwnRedis } from '../support/own-stores.ts'
import { startService, type TestService } from '../support/service.ts'

describe('health', () => {
  let redis: OwnRedis
  let service: TestService
  before(async () => {
    redis = await ownRedis()
    service = await startService({ REDIS_URL: redis.url })
  })
  after(async () => {
    await service.close()
    await redis.discard()
  })

  const ready = () => service.client.get('/health/ready')

  it('is live as long as the process answers', async () => {
    const answer = await service.client.get('/health/live')

    expect(answer.status).to.equal(200)
    expect(answer.body).to.deep.equal({ status: 'live' })
  })

  it('is ready when the stores are there and migrated', async () => {
    const answer = await eventually(async () => {
      const said = await ready()
      expect(said.status).to.equal(200)
      return said
    })

    expect(answer.body).to.deep.equal({
      status: 'ready',
      checks: { redis: 'ok', postgres: 'ok', migrations: 'ok', mail: 'off' },
    })
  })

  it('leaves no key behind for being asked', async () => {
    await ready()

    expect(await redis.operator().dbsize()).to.equal(0)
  })

  it('keeps an answer for a second, so that asking often costs nothing', async () => {
    await ready()
    const commands = async () => /total_commands_processed:(\d+)/.exec(await redis.operator().info('stats'))![1]
    const before = Number(await commands())
    const startedAt = performance.now()

    for (let i = 0; i < 50; i++) await ready()

    const seconds = Math.ceil((performance.now() - startedAt) / 1000)
    expect(Number(await commands()) - before, 'commands, with our own').to.be.at.most(1 + 3 * seconds)
  })

  it('F11 says that Redis evicts under another policy than noeviction, and warns once', async () => {
    const says = (redisSays: string) =>
      eventually(async () => {
        const { status, body } = await ready()
        expect({ status, redis: body.checks.redis }).to.deep.equal({ status: 200, redis: redisSays })
      })

    await redis.operator().config('SET', 'maxmemory-policy', 'allkeys-lru')
    await says('evicts')
    await redis.operator().config('SET', 'maxmemory-policy', 'noeviction')
    await says('ok')
    await redis.operator().config('SET', 'maxmemory-policy', 'volatile-ttl')
    await says('evicts')

    const warnings = service.logged.filter(({ event }) => event === 'redis.evicts')
    expect(warnings.map(({ level, reason }) => ({ level, reason }))).to.deep.equal([
      { level: 'warn', reason: 'allkeys-lru' },
    ])
  })
})
