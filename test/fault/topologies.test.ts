import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import type { RedisNode } from '../../dev/stores.ts'
import { digest } from '../../src/platform/digest.ts'
import { startOf } from '../../src/sessions/session.ts'
import { asRedisUser, deniedTo, redisUser, userWords } from '../support/acl.ts'
import { firstAdmin } from '../support/admins.ts'
import { startBusyClients, type BusyClients, type HeldSession, type Introspect } from '../support/busy-clients.ts'
import { expectProblem, type Answer, type ApiClient, type Tokens } from '../support/client.ts'
import { aServiceClient, type Credentials } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { recoveryMs } from '../support/faults.ts'
import { readMails } from '../support/mailbox.ts'
import { aPerson, aSession, password, type Someone } from '../support/people.ts'
import { random, seed } from '../support/seed.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'
import { keyPrefix, ownDatabase } from '../support/stores.ts'
import { ownCluster, ownSentinel, slotsOf, successorOf, type OwnTopology } from '../support/topologies.ts'

/** What was acknowledged so shortly after a primary was killed had been done by it before. */
const inFlightMs = 500

const newPassword = 'a quite different sentence'
const sessionsOf = (userId: string) => `${keyPrefix}sessions:{${userId}}`

/** The same clock for all, which goes on by itself as those of the stores do. */
const realTime = { now: () => Date.now(), pass: () => undefined }

/** What introspection says, as the status with which the other doors say it. */
const asStatus = { active: 200, inactive: 401, unknown: 503 }

/** Prints a figure below the test that has measured it. */
const tell = (what: string) => console.log(`        ${what}`)

/** What one server holds of the sessions, key by key. */
type Copy = Map<string, string | Record<string, string>>

for (const form of ['sentinel', 'cluster'] as const)
  describe(`${form === 'sentinel' ? 'a primary that Sentinel watches' : 'a Redis Cluster'} (seed ${seed})`, function () {
    this.timeout(60_000)

    let topology: OwnTopology
    let smtp: SmtpSink
    let database: Awaited<ReturnType<typeof ownDatabase>>
    let env: Record<string, string>
    let one: TestService
    let two: TestService
    let credentials: Credentials
    let admin: Someone
    before(async () => {
      ;[topology, smtp, database] = await Promise.all([
        (form === 'sentinel' ? ownSentinel : ownCluster)({
          args: ['--user', ...userWords(keyPrefix, form === 'cluster')],
        }),
        startSmtp(),
        ownDatabase(),
      ])
      env = { ...smtp.env, DATABASE_URL: database.url, REDIS_URL: asRedisUser(topology.url) }
      one = await startService(env, { clock: realTime })
      await one.migrated
      two = await startService(env, { clock: realTime })
      await untilItWorks(one, two)
      ;[credentials, admin] = await Promise.all([aServiceClient(env), firstAdmin(one.client, env)])
      await eventually(async () => {
        for (const { client } of [one, two])
          expect(await introspectWith(client)(admin.tokens.access_token)).to.equal('active')
      })
    })
    beforeEach(() => untilItWorks(one, two))
    afterEach(async () => {
      await topology.heal()
      for (const node of topology.nodes)
        expect(
          await deniedTo(redisUser.username, topology.operator(node)),
          'beyond the documented rights',
        ).to.deep.equal([])
    })
    after(async () => {
      await Promise.all([one.close(), two.close()])
      await Promise.all([topology.discard(), smtp.stop(), database.drop()])
    })

    async function untilItWorks(...services: TestService[]): Promise<void> {
      for (const { client } of services)
        await eventually(async () => {
          expect((await client.get('/health/ready')).status).to.equal(200)
          await aPerson(client)
        }, recoveryMs)
    }

    const introspectWith =
      (client: ApiClient): Introspect =>
      async (token) => {
        const { authorization } = credentials
        const answer = await client.post('/oauth/introspect', { form: { token }, headers: { authorization } })
        if (answer.status === 503) return 'unknown'
        expect(answer.status, answer.text).to.equal(200)
        return answer.body.active ? 'active' : 'inactive'
      }

    /** Somebody new whose sessions are on this server, and who has opened a second one. */
    async function aPersonAt(primary: RedisNode): Promise<{ person: Someone; mine: Tokens; other: Tokens }> {
      for (;;) {
        const person = await aPerson(one.client)
        if ((await topology.primaryOf(sessionsOf(person.id))) !== primary) continue
        return { person, mine: person.tokens, other: await aSession(two.client, person) }
      }
    }

    /** What all of the service says of an access token; they must not differ. */
    async function statusOf(token: string): Promise<number> {
      const statuses = await Promise.all(
        [one, two].flatMap(({ client }) => [
          finalStatusOf(() => client.protected(token)),
          finalStatusOf(() => client.me(token)),
          finalStatusOf(() => client.call('GET', '/forward-auth', { token })),
          finalStatusOf(async () => ({ status: asStatus[await introspectWith(client)(token)] })),
        ]),
      )
      expect(new Set(statuses), statuses.join()).to.have.length(1)
      return statuses[0]!
    }

    it('carries every flow, on every part of it', async () => {
      const primaries = await topology.primaries()
      expect(primaries).to.have.length(form === 'cluster' ? 3 : 1)
      for (const primary of primaries) {
        const { client } = one
        const { person, mine, other } = await aPersonAt(primary)
        expect(await statusOf(mine.access_token)).to.equal(200)

        const fresh = (await client.refresh(mine.refresh_token)).body as Tokens
        expect(await statusOf(fresh.access_token)).to.equal(200)
        const last = (await two.client.refresh(fresh.refresh_token)).body as Tokens
        expectProblem(await two.client.refresh(mine.refresh_token), 401, 'invalid-refresh-token', 'reused')
        expect(await statusOf(last.access_token)).to.equal(401)

        expect((await client.sessions(other.access_token)).body.items).to.have.length(1)
        const third = await aSession(client, person)
        expect((await two.client.logout(third.access_token)).status).to.equal(204)
        expectProblem(await client.me(third.access_token), 401, 'invalid-token', 'logged-out')
        expect((await client.logoutAll(other.access_token)).body).to.deep.equal({ revoked: 1 })
        expect(await statusOf(other.access_token)).to.equal(401)

        const fourth = await aSession(client, person)
        const token = await readMails(smtp).aResetToken(client, person)
        const reset = await client.post('/v1/auth/reset-password', { body: { token, new_password: newPassword } })
        expect(reset.status, reset.text).to.equal(204)
        expect(await statusOf(fourth.access_token)).to.equal(401)
        expect(await statusOf((await aSession(client, { ...person, password: newPassword })).access_token)).to.equal(
          200,
        )
      }
    })

    describe('whose primary is killed under load', () => {
      let busy: BusyClients
      let copies: Map<RedisNode, Copy>
      let promoted: RedisNode
      let killedAt: number
      let outageMs: number
      let killed: RedisNode
      before(async function () {
        this.timeout(60_000)
        await topology.heal()
        // As docs/operating.md has it: one that sentinels at odds promote beside another must confirm nothing meanwhile.
        if (form === 'sentinel') await askReplicas(1)
        busy = await startBusyClients({
          instances: [one.client, two.client],
          introspect: introspectWith(one.client),
          count: 24,
          random: random(form),
        })
        await eventually(() => expect(busy.diary.ended.length).to.be.greaterThan(20), recoveryMs)
        expect(busy.diary.refused, 'refused before').to.deep.equal([])
        const primaries = await topology.primaries()
        killed = primaries[Math.floor(random(`${form} killed`)() * primaries.length)]!
        const replicas = await topology.replicasOf(killed)
        killedAt = performance.now()
        await topology.kill(killed)
        copies = new Map(await Promise.all(replicas.map(async (replica) => [replica, await copyOf(replica)] as const)))
        await eventually(() => busy.expectAllServedSince(killedAt + inFlightMs), recoveryMs * 2)
        await eventually(async () => {
          const newOne = (await topology.primaries()).find((node) => replicas.includes(node))
          expect(newOne).to.not.equal(undefined)
          promoted = newOne!
        }, recoveryMs)
        const recoveredAt = performance.now()
        await eventually(() => busy.expectAllServedSince(recoveredAt), recoveryMs)
        await busy.stop()
        outageMs = Math.max(...busy.diary.unavailable) - killedAt
        await topology.heal()
        await busy.settle()
      })

      after(() => askReplicas(0))

      async function askReplicas(count: number): Promise<void> {
        for (const node of topology.nodes) await topology.operator(node).config('SET', 'min-replicas-to-write', count)
      }

      async function copyOf(replica: RedisNode): Promise<Copy> {
        const redis = topology.operator(replica)
        const copy: Copy = new Map()
        for await (const keys of redis.scanStream({ match: `${keyPrefix}*`, count: 5000 }) as AsyncIterable<string[]>)
          await Promise.all(
            keys.map(async (key) => {
              if (key.startsWith(sessionsOf('').slice(0, -1))) copy.set(key, await redis.hgetall(key))
              else if (/:(at|rt):/.test(key)) copy.set(key, (await redis.get(key)) ?? '')
            }),
          )
        return copy
      }

      it('answers 503 at most meanwhile, in time, and works again by itself', () => {
        const { diary } = busy
        tell(`well again after ${(outageMs / 1000).toFixed(1)} s; ${busy.summary()}`)
        expect(diary.wrongs).to.deep.equal([])
        expect(outageMs).to.be.within(1, recoveryMs)
      })

      it('has every session that was ended dead, on every instance', async () => {
        tell(`${busy.diary.ended.length} endings, ${busy.held().length} sessions held`)
        expect(busy.diary.wrongs).to.deep.equal([])
      })

      it('refuses no token that a client holds and the surviving copy knows, on any instance', async () => {
        const copy = copies.get(promoted)!
        const overtaken = (key: string) =>
          form === 'sentinel' ? Promise.resolve(true) : topology.primaryOf(key).then((node) => node === promoted)

        /** Whether the tokens that a client held are in the copy, as far as the copy is of their part of the keys. */
        async function knows({ person, sessionId, accessToken, refreshToken }: HeldSession): Promise<boolean> {
          const pointers = [`${keyPrefix}at:${digest(accessToken)}`, `${keyPrefix}rt:${digest(refreshToken)}`]
          for (const pointer of pointers) if ((await overtaken(pointer)) && !copy.has(pointer)) return false
          const key = sessionsOf(person.id)
          if (!(await overtaken(key))) return true
          const json = (copy.get(key) as Record<string, string> | undefined)?.[sessionId]
          return (
            json !== undefined && json.includes(startOf(digest(accessToken))) && json.includes(digest(refreshToken))
          )
        }

        const wrongly: unknown[] = []
        for (const refusal of busy.diary.refused)
          if (refusal.held.heldSince > killedAt + inFlightMs || (await knows(refusal.held))) wrongly.push(refusal)
        tell(`${busy.diary.refused.length} sessions lost, of ${busy.held().length + busy.diary.refused.length} held`)
        expect(wrongly).to.deep.equal([])
      })
    })

    /** What is answered after all: each sentinel that hears of a new primary has the connection made anew. */
    async function finalStatusOf(ask: () => Promise<{ status: number }>): Promise<number> {
      const endsAt = performance.now() + recoveryMs
      for (;;) {
        const { status } = await ask()
        if (status !== 503 || performance.now() > endsAt) return status
        await delay(20)
      }
    }

    /** What ends sessions of a person with two of them, and the tokens that are dead from then on. */
    const endings: Record<string, (who: Victim) => Promise<{ answer: Answer; dead: Tokens[] }>> = {
      'a logout': async ({ mine }) => ({ answer: await one.client.logout(mine.access_token), dead: [mine] }),
      'a logout by refresh token': async ({ mine }) => ({
        answer: await one.client.post('/v1/auth/logout', { body: { refresh_token: mine.refresh_token } }),
        dead: [mine],
      }),
      'a logout everywhere': async ({ mine, other }) => ({
        answer: await two.client.logoutAll(mine.access_token),
        dead: [mine, other],
      }),
      'a revoked session': async ({ mine, other }) => ({
        answer: await two.client.call('DELETE', `/v1/sessions/${other.session.id}`, { token: mine.access_token }),
        dead: [other],
      }),
      'the end of all others': async ({ mine, other }) => ({
        answer: await one.client.post('/v1/sessions/revoke-others', { token: mine.access_token }),
        dead: [other],
      }),
      'a token that a client revoked': async ({ mine }) => ({
        answer: await one.client.post('/oauth/revoke', { form: { token: mine.refresh_token } }),
        dead: [mine],
      }),
      'a changed password': async ({ mine, other }) => ({
        answer: await one.client.post('/v1/me/password', {
          token: mine.access_token,
          body: { current_password: password, new_password: newPassword },
        }),
        dead: [mine, other],
      }),
      'a reset password': async ({ mine, other, resetToken }) => ({
        answer: await two.client.post('/v1/auth/reset-password', {
          body: { token: resetToken, new_password: newPassword },
        }),
        dead: [mine, other],
      }),
      'a refresh token used twice': async ({ mine }) => {
        const next = (await one.client.refresh(mine.refresh_token)).body as Tokens
        const last = (await two.client.refresh(next.refresh_token)).body as Tokens
        return { answer: await one.client.refresh(mine.refresh_token), dead: [mine, next, last] }
      },
      'a disabled account': async ({ person, mine, other }) => ({
        answer: await one.client.post(`/v1/admin/users/${person.id}/disable`, { token: admin.tokens.access_token }),
        dead: [mine, other],
      }),
      'a deleted account': async ({ mine, other }) => ({
        answer: await two.client.call('DELETE', '/v1/me', {
          token: mine.access_token,
          body: { current_password: password },
        }),
        dead: [mine, other],
      }),
    }

    interface Victim {
      person: Someone
      mine: Tokens
      other: Tokens
      resetToken: string
    }

    /** Asks for what is dead, over and over, through every instance, until it is told to stop; notes what lives. */
    function haunt(dead: { by: string; tokens: Tokens }[], clients: () => ApiClient[]) {
      const alive: string[] = []
      const stopping = new AbortController()
      let rounds = 0
      const done = (async () => {
        while (!stopping.signal.aborted) {
          for (const client of clients())
            await Promise.all(
              dead.map(async ({ by, tokens: { access_token: token, refresh_token: refreshToken } }, i) => {
                const answers = await Promise.all([
                  client.protected(token),
                  client.me(token),
                  client.call('GET', '/forward-auth', { token }),
                  // Not for all: a refused refresh ends what should not be there, and the next look would find it dead.
                  ...(i % 2 === 0 ? [client.refresh(refreshToken)] : []),
                ])
                const statuses = answers.map(({ status }) => status)
                const said = await introspectWith(client)(token)
                if (said === 'active' || statuses.some((status) => status !== 401 && status !== 503))
                  alive.push(`${by}: ${statuses.join()}, ${said}`)
              }),
            )
          rounds += 1
          await delay(20)
        }
      })()
      return {
        alive,
        rounds: () => rounds,
        async stop() {
          stopping.abort()
          await done
        },
      }
    }

    it('has every acknowledged ending in force after it went over to a replica that has missed them all', async () => {
      const primary = await topology.primaryOf(sessionsOf(admin.id))
      const adminsTokens = await aSession(one.client, admin)
      admin = { ...admin, tokens: adminsTokens }
      const victims = await Promise.all(
        Object.keys(endings).map(async (by) => {
          const victim = await aPersonAt(primary)
          const resetToken =
            by === 'a reset password' ? await readMails(smtp).aResetToken(one.client, victim.person) : ''
          return Object.assign(victim, { by, resetToken })
        }),
      )
      const spared = await aPersonAt(primary)
      const replicas = await topology.replicasOf(primary)
      expect(replicas).to.have.length(form === 'cluster' ? 1 : 2)
      await eventually(async () => {
        for (const replica of replicas)
          expect(await topology.operator(replica).hlen(sessionsOf(spared.person.id))).to.equal(3)
      })
      await Promise.all(replicas.map(topology.isolate))
      const isolatedAt = performance.now()

      const dead = (
        await Promise.all(
          victims.map(async ({ by, ...victim }) => {
            const { answer, dead: tokens } = await endings[by]!(victim)
            if (by === 'a refresh token used twice') expect(answer.body.reason).to.equal('reused')
            else expect(answer.status, `${by}: ${answer.text}`).to.be.within(200, 204)
            return tokens.map((each) => ({ by, tokens: each }))
          }),
        )
      ).flat()
      const unheard = await aSession(one.client, spared.person)
      for (const { person, mine, other } of victims)
        for (const replica of replicas)
          for (const { session } of [mine, other])
            expect(await topology.operator(replica).hexists(sessionsOf(person.id), session.id)).to.equal(1)
      tell(
        `${dead.length} pairs dead, and alive in the replica, ${Math.round(performance.now() - isolatedAt)} ms apart`,
      )

      const instances = [one.client, two.client]
      const watch = haunt(dead, () => instances)
      const killedAt = performance.now()
      await topology.kill(primary)
      const latecomer = await startService(env, { clock: realTime })
      instances.push(latecomer.client)
      try {
        for (const client of instances) await eventually(() => aSession(client, spared.person), recoveryMs)
        tell(`logins on every instance after ${((performance.now() - killedAt) / 1000).toFixed(1)} s`)
        const roundsBefore = watch.rounds()
        await eventually(() => expect(watch.rounds()).to.be.greaterThan(roundsBefore + 3), recoveryMs)
      } finally {
        await watch.stop()
        await latecomer.close()
      }

      expect(watch.alive).to.deep.equal([])
      for (const { by, tokens } of dead) {
        expect(await statusOf(tokens.access_token), by).to.equal(401)
        expect(await finalStatusOf(() => one.client.refresh(tokens.refresh_token)), by).to.equal(401)
      }
      for (const tokens of [spared.mine, spared.other]) expect(await statusOf(tokens.access_token)).to.equal(200)
      expect(await statusOf(unheard.access_token), 'a session that was lost with its primary').to.equal(401)
      const promoted = await topology.primaryOf(sessionsOf(admin.id))
      expect(replicas).to.include(promoted)
      for (const { by, tokens } of dead) {
        const key = sessionsOf(victims.find((victim) => victim.by === by)!.person.id)
        expect(await topology.operator(promoted).hexists(key, tokens.session.id), by).to.equal(0)
      }
    })

    if (form === 'sentinel')
      it('is found also when a sentinel tells of the new one while others are being asked for it', async () => {
        const primary = await topology.primaryOf('')
        const [talkative, ...silent] = topology.sentinels as [RedisNode, ...RedisNode[]]
        // The service asks these for a second each, in vain, and has no other primary to go to.
        for (const sentinel of silent) sentinel.pause()
        try {
          await topology.kill(primary)
          await eventually(async () => expect((await one.client.get('/health/ready')).status).to.equal(503), recoveryMs)
          const ask = (...words: string[]) => topology.operator(talkative).call('SENTINEL', ...words, 'latchkey')
          await eventually(() => ask('FAILOVER'), recoveryMs)
          await eventually(async () => {
            const [, port] = (await ask('GET-MASTER-ADDR-BY-NAME')) as [string, string]
            expect(Number(port)).to.not.equal(primary.port)
          }, recoveryMs)
        } finally {
          for (const sentinel of silent) sentinel.resume()
        }

        await untilItWorks(one, two)
      })

    if (form === 'sentinel')
      it('is left for the one that the sentinels have put in its place, also when nobody hears them say so', async () => {
        const deposed = await topology.primaryOf('')
        const { person } = await aPersonAt(deposed)
        await eventually(() => topology.operator(topology.sentinels[0]!).call('SENTINEL', 'FAILOVER', 'latchkey'))
        // Who is subscribed loses the connection, again and again, until the last sentinel has said it.
        const named = await successorOf(deposed, topology, (sentinel) =>
          sentinel.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
        )
        const namedAt = performance.now()

        try {
          for (const { client } of [one, two])
            await eventually(async () => {
              const { session } = await aSession(client, person)
              expect(await topology.operator(named).hexists(sessionsOf(person.id), session.id)).to.equal(1)
            })
          expect((await topology.operator(deposed).role())[0], 'the deposed one').to.equal('master')
          tell(`left after ${Math.round(performance.now() - namedAt)} ms`)
        } finally {
          // The sentinels would see to that some seconds later.
          await topology.operator(deposed).replicaof('127.0.0.1', named.port)
        }
      })

    if (form === 'cluster')
      it('goes on for the people of its other parts while one part has no primary', async () => {
        const [lost] = (await topology.primaries()) as [RedisNode]
        const bystander = await aBystanderOf(lost)
        const statuses: number[] = []
        const killedAt = performance.now()
        await topology.kill(lost)

        await eventually(async () => {
          for (const { client } of [one, two]) {
            const startedAt = performance.now()
            statuses.push((await client.protected(bystander.access_token)).status)
            expect(performance.now() - startedAt, 'milliseconds until the answer').to.be.below(5000)
          }
          expect(await topology.primaries()).to.have.length(3)
        }, recoveryMs)

        const served = statuses.filter((status) => status === 200).length
        tell(
          `${served} of ${statuses.length} checks served in ${Math.round(performance.now() - killedAt)} ms without it`,
        )
        expect(statuses.filter((status) => status !== 200 && status !== 503)).to.deep.equal([])
        expect(served / statuses.length, 'share of checks that were served').to.be.greaterThan(0.5)
      })

    /** A session of somebody of whom nothing is on this server. */
    async function aBystanderOf(primary: RedisNode): Promise<Tokens> {
      for (;;) {
        const { id, tokens } = await aPerson(one.client)
        const keys = [sessionsOf(id), `${keyPrefix}at:${digest(tokens.access_token)}`]
        const owners = await Promise.all(keys.map(topology.primaryOf))
        if (!owners.includes(primary)) return tokens
      }
    }

    it('believes no primary that was only asleep, and wakes up with what it had', async () => {
      const primary = await topology.primaryOf(sessionsOf(admin.id))
      const replicas = await topology.replicasOf(primary)
      const victim = await aPersonAt(primary)
      primary.pause()
      try {
        await eventually(async () => {
          const roles = await Promise.all(replicas.map((replica) => topology.operator(replica).role()))
          expect(roles.flat()).to.include('master')
        }, recoveryMs)
        // With a new session each time: what was answered 503 may have been done all the same.
        await eventually(async () => {
          const { access_token: token } = await aSession(one.client, victim.person)
          const answer = await one.client.logoutAll(token)
          expect(answer.status, answer.text).to.equal(200)
        }, recoveryMs)
      } finally {
        primary.resume()
      }

      const dead = [victim.mine, victim.other].map((tokens) => ({ by: 'a logout everywhere', tokens }))
      const watch = haunt(dead, () => [one.client, two.client])
      await eventually(() => expect(watch.rounds()).to.be.greaterThan(20), recoveryMs)
      for (const { client } of [one, two]) await eventually(() => aSession(client, victim.person), recoveryMs)
      await watch.stop()

      expect(watch.alive).to.deep.equal([])
      for (const { tokens } of dead) expect(await statusOf(tokens.access_token)).to.equal(401)
    })

    if (form === 'cluster')
      it('whose slots move under load answers 503 at most, and loses nothing', async () => {
        const busy = await startBusyClients({
          instances: [one.client, two.client],
          introspect: introspectWith(one.client),
          count: 24,
          random: random('slots'),
        })
        await eventually(() => expect(busy.diary.ended.length).to.be.greaterThan(10), recoveryMs)
        const [from, to] = (await topology.primaries()) as [RedisNode, RedisNode]
        const startedAt = performance.now()

        const moved = await moveSlots(from, to)

        const movedAt = performance.now()
        await eventually(() => busy.expectAllServedSince(movedAt), recoveryMs)
        await busy.stop()
        tell(`${moved.slots} slots with ${moved.keys} keys in ${Math.round(movedAt - startedAt)} ms; ${busy.summary()}`)
        expect(moved.keys).to.be.greaterThan(30)
        expect(busy.diary.wrongs).to.deep.equal([])
        await busy.settle()
        expect(busy.diary.wrongs).to.deep.equal([])
        expect(busy.diary.refused).to.deep.equal([])
      })

    /** Moves slots of one primary in which there are keys to another, key by key, as `redis-cli --cluster` does. */
    async function moveSlots(from: RedisNode, to: RedisNode): Promise<{ slots: number; keys: number }> {
      const [source, target] = [topology.operator(from), topology.operator(to)]
      const [sourceId, targetId] = await Promise.all([source.cluster('MYID'), target.cluster('MYID')])
      const slots = await slotsOf(source)
      const counts = await Promise.all(slots.map((slot) => source.cluster('COUNTKEYSINSLOT', slot)))
      const filled = slots.filter((_, i) => Number(counts[i]) > 0).slice(0, 80)
      const keys = new Set<string>()
      const moveSlot = async (slot: number) => {
        await target.cluster('SETSLOT', slot, 'IMPORTING', sourceId)
        await source.cluster('SETSLOT', slot, 'MIGRATING', targetId)
        for (;;) {
          const some = await source.cluster('GETKEYSINSLOT', slot, 1)
          if (some.length === 0) break
          for (const key of some) keys.add(key)
          await source.migrate('127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...some)
        }
        for (const each of [target, source]) await each.cluster('SETSLOT', slot, 'NODE', targetId)
      }
      for (let i = 0; i < filled.length; i += 10) await Promise.all(filled.slice(i, i + 10).map(moveSlot))
      return { slots: filled.length, keys: keys.size }
    }
  })
