import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { digest } from '../../src/platform/digest.ts'
import { expectProblem } from '../support/client.ts'
import { aPerson, aSession, password } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { contentOf, keyPrefix, keysLike, operatorsRedis } from '../support/stores.ts'

const sessionsOf = (userId: string) => `${keyPrefix}sessions:{${userId}}`

describe('an operator with redis-cli', () => {
  let service: TestService
  before(async () => {
    service = await startService()
  })
  after(() => service.close())

  it('logs one session out by HDEL of its field', async () => {
    const { client } = service
    const someone = await aPerson(client)
    const other = await aSession(client, someone)

    expect(await operatorsRedis().hdel(sessionsOf(someone.id), someone.tokens.session.id)).to.equal(1)

    expectProblem(await client.me(someone.tokens.access_token), 401, 'invalid-token', 'revoked')
    expectProblem(await client.refresh(someone.tokens.refresh_token), 401, 'invalid-refresh-token', 'ended')
    expect((await client.me(other.access_token)).status).to.equal(200)
  })

  it('logs a person out everywhere by DEL of the key', async () => {
    const { client } = service
    const someone = await aPerson(client)
    const other = await aSession(client, someone)

    expect(await operatorsRedis().del(sessionsOf(someone.id))).to.equal(1)

    for (const { access_token, refresh_token } of [someone.tokens, other]) {
      expectProblem(await client.me(access_token), 401, 'invalid-token', 'revoked')
      expectProblem(await client.refresh(refresh_token), 401, 'invalid-refresh-token', 'ended')
    }
    expect((await client.login({ email: someone.email, password })).status).to.equal(200)
  })

  it('reads who is signed in, where and since when', async () => {
    const { client } = service
    const { id, email, tokens } = await aPerson(client, { device_name: 'Laptop' })

    const fields = await operatorsRedis().hgetall(sessionsOf(id))

    expect(Object.keys(fields)).to.have.members([tokens.session.id, 'user'])
    expect(JSON.parse(fields['user']!)).to.include({ email, verified: false, role: 'user' })
    expect(JSON.parse(fields[tokens.session.id]!)).to.include({ device: 'Laptop', ip: '127.0.0.1' })
  })

  it('finds the session of a token by its digest', async () => {
    const { client } = service
    const { id, tokens } = await aPerson(client)
    const pointer = `${id}${tokens.session.id.split('-').at(-1)}`.replaceAll('-', '')
    expect(tokens.session.id.slice(0, 24)).to.equal(id.slice(0, 24))

    expect(await operatorsRedis().get(`${keyPrefix}at:${digest(tokens.access_token)}`)).to.equal(pointer)
    expect(await operatorsRedis().get(`${keyPrefix}rt:${digest(tokens.refresh_token)}`)).to.equal(pointer)
  })

  it('finds in a tombstone why a session ended', async () => {
    const { client } = service
    const { tokens } = await aPerson(client)
    await client.logout(tokens.access_token)

    const tombstone = JSON.parse((await operatorsRedis().get(`${keyPrefix}ended:${tokens.session.id}`))!)

    expect(tombstone.reason).to.equal('logged-out')
    expect(Date.parse(tombstone.at)).to.be.closeTo(Date.now(), 60_000)
  })

  it('breaks nothing by writing what is almost a session, or no id at all', async () => {
    const { client } = service
    const someone = await aPerson(client)
    const later = Date.now() + 1_000_000_000
    await operatorsRedis().hset(
      sessionsOf(someone.id),
      randomUUID(),
      `{"times":[${later},${later},${later}],"ttl":[1,1]}`,
      randomUUID(),
      `{"times":["${later}","${later}","${later}"],"ttl":"none"}`,
      'a note of mine',
      'hello',
    )

    expect((await client.sessions(someone.tokens.access_token)).body.items).to.have.length(1)
    const fresh = await aSession(client, someone)
    expect((await client.post('/v1/sessions/revoke-others', { token: fresh.access_token })).body.revoked).to.equal(1)
    expect((await client.logoutAll(fresh.access_token)).status).to.equal(200)
  })

  it('disturbs nobody else by a key of another type', async () => {
    const { client } = service
    const [someone, other] = [await aPerson(client), await aPerson(client)]
    await operatorsRedis().set(sessionsOf(someone.id), 'text')

    const answers = await Promise.all([someone, other].map(({ tokens }) => client.protected(tokens.access_token)))

    expect(answers.map(({ status }) => status)).to.deep.equal([401, 200])
    await operatorsRedis().del(sessionsOf(someone.id))
  })

  it('breaks nothing by writing nonsense: a damaged field is no session', async () => {
    const { client } = service
    const someone = await aPerson(client)
    await operatorsRedis().hset(sessionsOf(someone.id), someone.tokens.session.id, '{"expires_at":', 'user', '[')

    expectProblem(await client.me(someone.tokens.access_token), 401, 'invalid-token', 'revoked')
    expectProblem(await client.refresh(someone.tokens.refresh_token), 401, 'invalid-refresh-token', 'ended')
    const fresh = await aSession(client, someone)
    expect((await client.sessions(fresh.access_token)).body.items).to.have.length(1)
  })
})

describe('what lies in the stores', () => {
  it('is no token, and every key has a time to live', async () => {
    const service = await startService({ KEY_PREFIX: `${keyPrefix}at-rest:` })
    const { client } = service
    const someone = await aPerson(client)
    const second = await aSession(client, someone)
    const fresh = (await client.refresh(second.refresh_token)).body
    await client.logout(someone.tokens.access_token)
    const secrets = [someone.tokens, second, fresh].flatMap((pair) => [pair.access_token, pair.refresh_token])

    const redis = operatorsRedis()
    const seen: string[] = []
    for (const key of await keysLike(redis, `${keyPrefix}at-rest:*`)) {
      expect(await redis.pttl(key), key).to.be.greaterThan(0)
      seen.push(key, await contentOf(redis, key))
    }

    expect(seen.length).to.be.greaterThan(10)
    for (const secret of [...secrets, password]) expect(seen.join('\n').toLowerCase()).to.not.include(secret)
    for (const secret of [...secrets, password, someone.email])
      expect(JSON.stringify(service.logged)).to.not.include(secret)
    await service.close()
  })
})
