import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { digest } from '../../src/platform/digest.ts'
import { asRedisUser, deniedTo, recommendedRules, redisUser, userWords } from '../support/acl.ts'
import { certifyLoopback } from '../support/certificates.ts'
import { createClient, type ApiClient, type Tokens } from '../support/client.ts'
import { latchkey, startProcess, type ServiceProcess } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { aPerson, aSession, password } from '../support/people.ts'
import { startService } from '../support/service.ts'
import { keyPrefix, ownDatabase } from '../support/stores.ts'
import { ownCluster, ownSentinel, ownSingle, slotsOf, type OwnTopology } from '../support/topologies.ts'

const operator = { username: 'operator', password: 'operators secret' }

const forms = { single: ownSingle, sentinel: ownSentinel, cluster: ownCluster }

describe('a Redis that is reached by TLS and knows its users', function () {
  this.timeout(60_000)

  let folder: string
  let tls: ReturnType<typeof certifyLoopback>
  let database: Awaited<ReturnType<typeof ownDatabase>>
  const processes: ServiceProcess[] = []
  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-tls-'))
    tls = certifyLoopback(folder)
    database = await ownDatabase()
  })
  after(async () => {
    await database.drop()
    fs.rmSync(folder, { recursive: true })
  })

  async function endProcesses(): Promise<void> {
    for (const { process } of processes) process.kill('SIGTERM')
    await Promise.all(processes.splice(0).map(({ exitCode }) => exitCode))
  }

  function begin(env: Record<string, string>): ServiceProcess {
    const service = startProcess(env)
    processes.push(service)
    return service
  }

  /** Expects that a service lives, and that Redis is what it lacks. */
  async function expectShutOut(url: string): Promise<void> {
    const answer = await createClient(url).get('/health/ready')
    expect(answer.status, answer.text).to.equal(503)
    expect(answer.body.checks).to.include({ redis: 'unavailable', postgres: 'ok' })
  }

  for (const [form, start] of Object.entries(forms))
    it(`as ${form} serves a user who may do what is documented, who needs all of it, and nobody else`, async () => {
      const isCluster = form === 'cluster'
      const others = ['--user', 'default', 'off', '--user', operator.username, 'on', `>${operator.password}`]
      const args = [...others, '~*', '&*', '+@all', '--user', ...userWords(keyPrefix, isCluster)]
      const topology = await start({ tls, operator, args })
      try {
        for (const node of topology.nodes) await topology.operator(node).config('RESETSTAT')
        const env = { DATABASE_URL: database.url, OPS_PORT: '0', NODE_EXTRA_CA_CERTS: tls.ca }
        const rightly = { ...env, REDIS_URL: asRedisUser(topology.url) }
        const service = begin(rightly)
        const stranger = begin({ ...env, REDIS_URL: asRedisUser(topology.url, { ...redisUser, password: 'a guess' }) })
        const url = await addressOf(service, 'service.started')
        await eventually(
          async () => expect((await createClient(url).get('/health/ready')).status).to.equal(200),
          20_000,
        )
        await useAllOf(createClient(url), topology, await addressOf(service, 'ops.started'))
        if (isCluster) await askForWhatIsOnItsWay(createClient(url), topology)
        await mendWithDoctor(rightly, topology)

        for (const node of topology.nodes)
          expect(await deniedTo(redisUser.username, topology.operator(node))).to.deep.equal([])
        expect(await neverUsedOf(isCluster, topology)).to.deep.equal([])
        await expectShutOut(await addressOf(stranger, 'service.started'))
        const trustless = await startService({ DATABASE_URL: database.url, REDIS_URL: rightly.REDIS_URL })
        await expectShutOut(trustless.url)
        await trustless.close()
      } finally {
        await endProcesses()
        await topology.discard()
      }
    })

  /** Where a process says that it listens, once it does. */
  const addressOf = ({ output }: ServiceProcess, event: 'ops.started' | 'service.started') =>
    eventually(() => {
      const line = output()
        .split('\n')
        .find((each) => each.includes(`"event":"${event}"`))
      return (JSON.parse(line!) as { address: string }).address
    }, 20_000)

  /** Does with a service all that has a command of its own in Redis. */
  async function useAllOf(client: ApiClient, topology: OwnTopology, opsUrl: string): Promise<void> {
    const person = await aPerson(client)
    const token = person.tokens.access_token
    const wrongly = () => client.login({ email: person.email, password: 'not the password' })
    expect((await wrongly()).status).to.equal(401)
    const limit = `${keyPrefix}limit:wrong-passwords:${person.id}`
    await topology.operator(await topology.primaryOf(limit)).persist(limit)
    expect((await wrongly()).status).to.equal(401)

    const patched = await client.call('PATCH', '/v1/me', { token, body: { username: `u.${randomUUID().slice(0, 8)}` } })
    expect(patched.status, patched.text).to.equal(200)
    expect((await client.protected(token)).status).to.equal(200)
    await aSession(client, person)
    expect((await client.sessions(token)).body.items).to.have.length(2)
    expect((await client.post('/v1/sessions/revoke-others', { token })).body.revoked).to.equal(1)
    const other = (await client.refresh((await aSession(client, person)).refresh_token)).body as Tokens
    expect((await client.logout(other.access_token)).status).to.equal(204)
    expect((await client.protected(other.access_token)).status).to.equal(401)
    const changed = await client.post('/v1/me/password', {
      token,
      body: { current_password: password, new_password: 'a quite different sentence' },
    })
    expect(changed.status, changed.text).to.equal(200)
    const last = (changed.body as Tokens).access_token
    expect((await client.logoutAll(last)).status).to.equal(200)
    expect((await client.protected(last)).status).to.equal(401)
    expect(await (await fetch(`${opsUrl}/metrics`)).text()).to.match(/^latchkey_open_sessions \d/m)
  }

  /** Asks for a token whose slot is being moved, and is sent on to where it goes. */
  async function askForWhatIsOnItsWay(client: ApiClient, topology: OwnTopology): Promise<void> {
    const [from, to] = (await topology.primaries()).map(topology.operator) as [
      ReturnType<OwnTopology['operator']>,
      ReturnType<OwnTopology['operator']>,
    ]
    const token = randomUUID()
    const slot = await from.cluster('KEYSLOT', `${keyPrefix}at:${digest(token)}`)
    if (!(await slotsOf(from)).includes(slot)) return askForWhatIsOnItsWay(client, topology)
    await to.cluster('SETSLOT', slot, 'IMPORTING', await from.cluster('MYID'))
    await from.cluster('SETSLOT', slot, 'MIGRATING', await to.cluster('MYID'))

    expect((await client.protected(token)).body.reason).to.equal('unknown')

    for (const each of [from, to]) await each.cluster('SETSLOT', slot, 'STABLE')
  }

  /** Has the doctor find something, and mend it. */
  async function mendWithDoctor(env: Record<string, string>, topology: OwnTopology): Promise<void> {
    const key = `${keyPrefix}ended:${randomUUID()}`
    await topology.operator(await topology.primaryOf(key)).set(key, '{}')

    const { out, errors } = await latchkey(['doctor', '--repair', '--json'], env)

    expect(out, errors).to.match(/"sessions lasting","verdict":"\w+","says":"1 /)
    expect(await topology.operator(await topology.primaryOf(key)).ttl(key)).to.be.greaterThan(0)
  }

  /** Which of the documented commands nobody has used. READONLY and READWRITE are for a replica that may be promoted. */
  async function neverUsedOf(isCluster: boolean, topology: OwnTopology): Promise<string[]> {
    const { rules, ofCluster } = recommendedRules('')
    const allowed = [...rules, ...(isCluster ? ofCluster : [])].flatMap((rule) =>
      rule[0] === '+' ? rule.slice(1) : [],
    )
    const stats = await Promise.all(topology.nodes.map((node) => topology.operator(node).info('commandstats')))
    const used = new Set(stats.join('\n').match(/(?<=^cmdstat_)[^:]+(?=:)/gm))
    return allowed.filter((command) => !used.has(command) && !command.startsWith('read'))
  }
})
