import { expect } from 'chai'
import { digest } from '../../src/platform/digest.ts'
import type { ApiClient } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { expectStatus, expectUnavailable, msOf, note, recoveryMs, times, untilItWorks } from '../support/faults.ts'
import { aPerson, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { keyPrefix } from '../support/stores.ts'
import { ownCluster, type OwnTopology } from '../support/topologies.ts'

describe('a Redis Cluster of which one part is gone, its replica as well', function () {
  this.timeout(90_000)

  let cluster: OwnTopology
  let service: TestService
  let client: ApiClient
  before(async () => {
    cluster = await ownCluster({
      args: ['--cluster-require-full-coverage', 'no', '--appendonly', 'yes', '--appendfsync', 'always'],
    })
    service = await startService({ REDIS_URL: cluster.url })
    ;({ client } = service)
    await untilItWorks(client)
  })
  after(async () => {
    await service.close()
    await cluster.discard()
  })

  const check = ({ tokens }: Someone) => client.protected(tokens.access_token)
  const redisCheck = async () => (await client.get('/health/ready')).body.checks.redis as string

  /** Where a person's session lies, and where the pointer to it that their access token has. */
  const partsOf = ({ tokens }: Someone) =>
    Promise.all(
      [`sessions:{${tokens.user.id}}`, `at:${digest(tokens.access_token)}`].map((key) =>
        cluster.primaryOf(keyPrefix + key),
      ),
    )

  it('goes on for those who have nothing there, stays ready, and heals', async () => {
    const people = await times(40, () => aPerson(client))
    const parts = await Promise.all(people.map(partsOf))
    const lost = parts[0]![0]!
    const unlucky = people.filter((_, i) => parts[i]!.includes(lost))
    const lucky = people.filter((_, i) => !parts[i]!.includes(lost))
    await expectStatus(client.logoutAll(people[0]!.tokens.access_token), 200)
    unlucky.shift()
    const gone = [lost, ...(await cluster.replicasOf(lost))]
    await Promise.all(gone.map((node) => cluster.kill(node)))

    await eventually(async () => expect(await redisCheck()).to.equal('partial'), recoveryMs)
    await expectStatus(client.get('/health/ready'), 200)
    for (let round = 0; round < 10; round++) {
      const refused = expectUnavailable(...unlucky.map(check))
      for (const answer of lucky.map(check)) await expectStatus(answer, 200)
      await refused
    }
    const told = service.logged.filter(({ event }) => event === 'redis.lost').map(({ address }) => address)
    expect(told).to.include(`127.0.0.1:${lost.port}`)
    expect(told, 'each server once').to.have.members([...new Set(told)])

    const another = await startService({ REDIS_URL: cluster.url })
    await eventually(
      () => Promise.all(lucky.map(({ tokens }) => expectStatus(another.client.protected(tokens.access_token), 200))),
      recoveryMs,
    )

    await cluster.heal()
    const wellAgainMs = await msOf(() =>
      eventually(
        () => Promise.all([...lucky, ...unlucky].map((someone) => expectStatus(check(someone), 200))),
        recoveryMs,
      ),
    )
    await eventually(async () => expect(await redisCheck()).to.equal('ok'), recoveryMs)
    await eventually(() => expect(service.logged.map(({ event }) => event)).to.include('redis.ready'), recoveryMs)
    note(
      'a part of a Cluster is gone',
      `${lucky.length} of ${people.length} go on, the others get 503, ready stays 200; all work ${Math.round(wellAgainMs)} ms after it is back`,
    )
  })
})
