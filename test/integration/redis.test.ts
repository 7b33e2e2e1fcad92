import { expect } from 'chai'
import { fromRedis, openRedis, sendTogether, type Node } from '../../src/platform/redis.ts'
import { refusalOf } from '../support/accounts.ts'
import { eventually } from '../support/eventually.ts'
import { ownRedis, type OwnRedis } from '../support/own-stores.ts'

describe('commands that are sent together', function () {
  this.timeout(30_000)

  let server: OwnRedis
  let redis: Node
  before(async () => {
    server = await ownRedis()
    redis = openRedis({ url: server.url, timeoutMs: 500, log: () => undefined }) as Node
    await eventually(() => expect(redis.status).to.equal('ready'))
  })
  after(async () => {
    redis.disconnect()
    await server.discard()
  })

  const add = () => fromRedis(sendTogether(redis, () => redis.incr('count')))

  it('go out when the turn ends, in their order, and each gets its own answer', async () => {
    const answers = [add(), add(), add()]
    const oneTakes = redis.stream.writableLength / 3
    answers.push(add())

    expect(oneTakes).to.be.greaterThan(0)
    expect(redis.stream.writableLength).to.equal(oneTakes * 4)
    expect(await Promise.all(answers)).to.deep.equal([1, 2, 3, 4])
    expect(redis.stream.writableLength).to.equal(0)
  })

  it('are never sent when the connection breaks before', async () => {
    const counted = Number(await redis.get('count'))
    const answer = add()
    redis.stream.destroy()

    expect(await refusalOf(answer)).to.include({ code: 'unavailable' })
    await eventually(async () => expect(Number(await redis.get('count'))).to.equal(counted))
    expect(await add()).to.equal(counted + 1)
  })
})
