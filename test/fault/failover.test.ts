import { expect } from 'chai'
import type { Answer, ApiClient, Tokens } from '../support/client.ts'
import { movableClock } from '../support/clock.ts'
import { basicOf } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { answerMs, choose, expectStatus, msOf, note, recoveryMs, shuffled, untilReadyIs } from '../support/faults.ts'
import { readMails } from '../support/mailbox.ts'
import { ownPostgres, ownRedis, type OwnPostgres, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, aSession, password, type Someone } from '../support/people.ts'
import { addressOf, startProxy, urlThrough, type Proxy } from '../support/proxy.ts'
import { gateway, introspect } from '../support/requests.ts'
import { random } from '../support/seed.ts'
import { startService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'

const another = 'a quite different sentence'

/** A Redis that has what another one has by now, and nothing of what that will be told. */
async function aReplicaThatIsPromoted(redis: OwnRedis): Promise<OwnRedis> {
  const replica = await ownRedis()
  const line = await startProxy(addressOf(redis.url))
  await replica.operator().replicaof(line.host, line.port)
  await eventually(async () => {
    const [mine, its] = await Promise.all([
      redis.operator().info('replication'),
      replica.operator().info('replication'),
    ])
    expect(its).to.include('master_link_status:up')
    const [offset] = /(?<=master_repl_offset:)\d+/.exec(mine)!
    expect(its).to.include(`slave_repl_offset:${offset}`)
  }, recoveryMs)
  await replica.operator().replicaof('NO', 'ONE')
  await line.close()
  return replica
}

/** Takes the state of Redis as it is, and gives what puts the service before that state again. */
type Way = (stage: { redis: OwnRedis; proxy: Proxy; own: (redis: OwnRedis) => void }) => Promise<() => Promise<unknown>>

const ways: Record<string, Way> = {
  async 'whose replica takes over without its last writes'({ redis, proxy, own }) {
    const replica = await aReplicaThatIsPromoted(redis)
    own(replica)
    return async () => {
      proxy.retarget(addressOf(replica.url))
      await redis.kill()
    }
  },
  async 'in whose place an older copy is started'({ redis, proxy, own }) {
    const older = redis.copy()
    const successor = await ownRedis()
    own(successor)
    return async () => {
      await Promise.all([redis.kill(), successor.kill()])
      older.restoreTo(successor)
      await successor.start()
      proxy.retarget(addressOf(successor.url))
    }
  },
  async 'that is itself started again from an older copy'({ redis }) {
    const older = redis.copy()
    return async () => {
      await redis.kill()
      older.restoreTo(redis)
      await redis.start()
    }
  },
}

/** Somebody with two sessions, of which some are about to end. */
interface Victim {
  someone: Someone
  other: Tokens
}

type Ending = (who: Victim, at: ApiClient) => { end: () => Promise<Answer>; dead: Tokens[] }

describe('F12 a Redis', function () {
  this.timeout(60_000)
  const draw = random('failover')

  let postgres: OwnPostgres
  let smtp: SmtpSink
  before(async () => {
    ;[postgres, smtp] = await Promise.all([ownPostgres(), startSmtp()])
  })
  after(async () => {
    await smtp.stop()
    await postgres.discard()
  })

  for (const [name, way] of shuffled(Object.entries(ways), draw))
    it(`${name} opens nothing that has ended, at any instance`, async () => {
      const redises = [await ownRedis()]
      const [redis] = redises
      const proxy = await startProxy(addressOf(redis!.url))
      const env = { ...smtp.env, DATABASE_URL: postgres.url, REDIS_URL: urlThrough(proxy, redis!.url) }
      const minutesOff = choose([-5, 0, 5], draw)
      const services = [
        await startService(env),
        await startService(env, { clock: movableClock(Date.now() + minutesOff * 60_000) }),
      ]
      const instances = services.map(({ client }) => client)
      await Promise.all(instances.map((client) => untilReadyIs(200, client)))
      const anywhere = () => choose(instances, draw)
      const admin = await aPerson(anywhere())
      await postgres.database('users').where({ id: admin.id }).update({ role: 'admin' })
      const byAdmin = { token: admin.tokens.access_token }
      const made = await anywhere().post('/v1/admin/service-clients', { ...byAdmin, body: { name: 'orders' } })
      const authorization = basicOf(made.body.id as string, made.body.secret as string)
      const { aResetToken } = readMails(smtp)
      const resetTokens = new Map<string, string>()

      const endings: Record<string, Ending> = {
        logout: ({ someone: { tokens } }, at) => ({ end: () => at.logout(tokens.access_token), dead: [tokens] }),
        'logout by refresh token': ({ other }, at) => ({
          end: () => at.post('/v1/auth/logout', { body: { refresh_token: other.refresh_token } }),
          dead: [other],
        }),
        'OAuth revocation': ({ someone: { tokens } }, at) => ({
          end: () => at.post('/oauth/revoke', { form: { token: tokens.refresh_token } }),
          dead: [tokens],
        }),
        'revoking one': ({ someone: { tokens }, other }, at) => ({
          end: () => at.call('DELETE', `/v1/sessions/${other.session.id}`, { token: tokens.access_token }),
          dead: [other],
        }),
        'revoking others': ({ someone: { tokens }, other }, at) => ({
          end: () => at.post('/v1/sessions/revoke-others', { token: tokens.access_token }),
          dead: [other],
        }),
        'logout-all': ({ someone: { tokens }, other }, at) => ({
          end: () => at.logoutAll(tokens.access_token),
          dead: [tokens, other],
        }),
        'a change of password': ({ someone: { tokens }, other }, at) => ({
          end: () =>
            at.post('/v1/me/password', {
              token: tokens.access_token,
              body: { current_password: password, new_password: another },
            }),
          dead: [tokens, other],
        }),
        'a reset': ({ someone, other }, at) => ({
          end: () =>
            at.post('/v1/auth/reset-password', {
              body: { token: resetTokens.get(someone.id), new_password: another },
            }),
          dead: [someone.tokens, other],
        }),
        deletion: ({ someone: { tokens }, other }, at) => ({
          end: () => at.call('DELETE', '/v1/me', { token: tokens.access_token, body: { current_password: password } }),
          dead: [tokens, other],
        }),
        'deletion by an admin': ({ someone, other }, at) => ({
          end: () => at.call('DELETE', `/v1/admin/users/${someone.id}`, byAdmin),
          dead: [someone.tokens, other],
        }),
        'disabling by an admin': ({ someone, other }, at) => ({
          end: () => at.post(`/v1/admin/users/${someone.id}/disable`, byAdmin),
          dead: [someone.tokens, other],
        }),
        'ending by an admin': ({ someone, other }, at) => ({
          end: () => at.call('DELETE', `/v1/admin/users/${someone.id}/sessions`, byAdmin),
          dead: [someone.tokens, other],
        }),
        'ending one by an admin': ({ someone, other }, at) => ({
          end: () => at.call('DELETE', `/v1/admin/sessions/${someone.id}/${other.session.id}`, byAdmin),
          dead: [other],
        }),
        'reuse of a refresh token': ({ someone: { tokens } }, at) => ({
          end: async () => {
            await expectStatus(at.refresh(tokens.refresh_token), 200)
            for (const { clock } of services) clock.pass({ seconds: 31 })
            return at.refresh(tokens.refresh_token)
          },
          dead: [tokens],
        }),
      }

      const victims = new Map<string, Victim>()
      for (const ending of Object.keys(endings)) {
        const someone = await aPerson(anywhere())
        victims.set(ending, { someone, other: await aSession(anywhere(), someone) })
        if (ending === 'a reset') resetTokens.set(someone.id, await aResetToken(instances[0]!, someone))
      }
      const survivor = await aPerson(anywhere())

      const failOver = await way({ redis: redis!, proxy, own: (one) => redises.push(one) })
      const dead: [ending: string, Tokens][] = []
      for (const [ending, make] of shuffled(Object.entries(endings), draw)) {
        const { end, dead: ended } = make(victims.get(ending)!, anywhere())
        const expected = ending === 'reuse of a refresh token' ? [401] : [200, 204]
        await expectStatus(end(), ...expected)
        dead.push(...ended.map((tokens): [string, Tokens] => [ending, tokens]))
      }
      await failOver()
      services.push(await startService(env))
      instances.push(services.at(-1)!.client)

      /** Asks at one instance in every way there is; the names of what let it in. */
      const letInBy = async (at: ApiClient, tokens: Tokens, refreshes: boolean): Promise<string[]> => {
        const introspected = await introspect(at, { authorization }, tokens)
        const asked = {
          access: (await at.protected(tokens.access_token)).status,
          me: (await at.me(tokens.access_token)).status,
          'forward-auth': (await gateway(at, tokens)).status,
          refresh: refreshes ? (await at.refresh(tokens.refresh_token)).status : 401,
          introspection: introspected.status === 200 && introspected.body.active === false ? 401 : introspected.status,
        }
        for (const [how, status] of Object.entries(asked)) expect(status, how).to.be.oneOf([200, 401, 503])
        return Object.entries(asked).flatMap(([how, status]) => (status === 200 ? [how] : []))
      }
      const letIn = new Set<string>()
      /** A refresh looks into PostgreSQL by itself, and ends what it finds; so it comes when all else was asked. */
      const look = async (refreshes: boolean) => {
        await Promise.all(
          instances.map(async (at, i) => {
            for (const [ending, tokens] of shuffled(dead, draw))
              for (const how of await letInBy(at, tokens, refreshes))
                letIn.add(`${how} after ${ending} (instance ${i + 1})`)
          }),
        )
      }

      const looking = { isOver: false }
      const looked = (async () => {
        while (!looking.isOver) await look(false)
      })()
      const readyMs = await msOf(() => Promise.all(instances.map((client) => untilReadyIs(200, client))))
      looking.isOver = true
      await looked
      await look(false)
      await look(true)

      expect([...letIn].toSorted()).to.deep.equal([])
      for (const at of instances) {
        await expectStatus(at.me(survivor.tokens.access_token), 200)
        await expectStatus(gateway(at, survivor.tokens), 200)
        await aSession(at, survivor)
      }
      await expectStatus(anywhere().refresh(survivor.tokens.refresh_token), 200)
      note(
        `F12 a Redis ${name}`,
        `${dead.length} ended sessions refused by 3 instances (a clock ${minutesOff} min off), all ready after ${readyMs} ms`,
      )
      await Promise.all(services.map((service) => service.close()))
      await proxy.close()
      await Promise.all(redises.map((one) => one.discard()))
    })

  for (const minutesOff of [0, -1])
    it(`whose old primary one instance still writes to (its clock ${minutesOff} min off): what ends there is refused by the other soon`, async () => {
      const redis = await ownRedis()
      const proxies = [await startProxy(addressOf(redis.url)), await startProxy(addressOf(redis.url))] as const
      const services = await Promise.all(
        proxies.map((proxy, i) =>
          startService(
            { DATABASE_URL: postgres.url, REDIS_URL: urlThrough(proxy, redis.url) },
            { clock: movableClock(Date.now() + (i === 0 ? minutesOff * 60_000 : 0)) },
          ),
        ),
      )
      const [behind, ahead] = services.map(({ client }) => client) as [ApiClient, ApiClient]
      await Promise.all([untilReadyIs(200, behind), untilReadyIs(200, ahead)])
      const people = [await aPerson(behind), await aPerson(behind)] as const
      const replica = await aReplicaThatIsPromoted(redis)
      proxies[1].retarget(addressOf(replica.url))
      for (const { tokens } of people)
        await eventually(() => expectStatus(ahead.protected(tokens.access_token), 200), recoveryMs)

      await expectStatus(behind.logout(people[0].tokens.access_token), 204)
      await expectStatus(behind.logoutAll(people[1].tokens.access_token), 200)

      const refusedMs = await msOf(() =>
        eventually(async () => {
          for (const { tokens } of people) await expectStatus(ahead.protected(tokens.access_token), 401)
        }, answerMs),
      )
      note('F12 an ending confirmed to the old primary', `refused by the instance at the new one after ${refusedMs} ms`)
      await Promise.all(services.map((service) => service.close()))
      await Promise.all([...proxies.map((proxy) => proxy.close()), redis.discard(), replica.discard()])
    })

  it('that has an older role of somebody tells the one of today', async () => {
    const redis = await ownRedis()
    const proxy = await startProxy(addressOf(redis.url))
    const service = await startService({ DATABASE_URL: postgres.url, REDIS_URL: urlThrough(proxy, redis.url) })
    const { client } = service
    await untilReadyIs(200, client)
    const [admin, demoted] = [await aPerson(client), await aPerson(client)]
    for (const { id } of [admin, demoted]) await postgres.database('users').where({ id }).update({ role: 'admin' })
    const tokens = await aSession(client, demoted)
    const roleAtGateway = async () => (await gateway(client, tokens)).headers.get('x-auth-role')
    expect(await roleAtGateway()).to.equal('admin')
    const replica = await aReplicaThatIsPromoted(redis)
    const change = { token: admin.tokens.access_token, body: { role: 'user' } }
    await expectStatus(client.call('PATCH', `/v1/admin/users/${demoted.id}`, change), 200)
    expect(await roleAtGateway()).to.equal('user')

    proxy.retarget(addressOf(replica.url))

    await eventually(() => expectStatus(gateway(client, tokens), 200), recoveryMs)
    expect(await roleAtGateway()).to.equal('user')
    await service.close()
    await Promise.all([proxy.close(), redis.discard(), replica.discard()])
  })
})
