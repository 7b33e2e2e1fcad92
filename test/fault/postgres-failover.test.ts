import { expect } from 'chai'
import { discard, stateDir } from '../../dev/stores.ts'
import { expectProblem, type ApiClient, type Tokens } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { expectStatus, note, recoveryMs, times, untilItWorks, untilReadyIs } from '../support/faults.ts'
import { aPerson, aSession, password } from '../support/people.ts'
import { addressOf, startProxy, urlThrough, type Proxy } from '../support/proxy.ts'
import { startService, type TestService } from '../support/service.ts'
import { startPostgresPair, type PostgresPair } from '../support/standby.ts'

describe('a PostgreSQL with a standby', function () {
  this.timeout(90_000)

  let count = 0
  const dirs: string[] = []
  const newDir = (name: string) => {
    const dir = stateDir(`test-${process.pid}/${name}-of-a-pair-${++count}`)
    dirs.push(dir)
    return dir
  }
  let pair: PostgresPair
  let proxy: Proxy
  let service: TestService
  let client: ApiClient

  beforeEach(async () => {
    pair = await startPostgresPair(newDir)
    proxy = await startProxy(addressOf(pair.url))
    service = await startService({ DATABASE_URL: urlThrough(proxy, pair.url) })
    ;({ client } = service)
    await untilItWorks(client)
  })
  afterEach(async () => {
    await service.close()
    await pair.close()
    await proxy.close()
    await Promise.all(dirs.splice(0).map((dir) => discard(dir)))
  })

  /** Kills the primary, and has the address lead to the standby; it is promoted when that was seen. */
  async function failOver(seen: () => Promise<unknown>): Promise<number> {
    await pair.primary.kill()
    proxy.retarget(addressOf(pair.standbyUrl))
    await seen()
    await pair.promote()
    const promotedAt = performance.now()
    await untilItWorks(client)
    return Math.round(performance.now() - promotedAt)
  }

  it('that confirms each commit takes over, and all that was acknowledged holds', async () => {
    const [leaver, changer, stayer] = await times(3, () => aPerson(client))
    const elsewhere = await aSession(client, changer!)
    let asked = 0
    let answered = 0
    const enough = new AbortController()
    const registered: { email: string; tokens: Tokens }[] = []
    const crowd = times(6, async () => {
      while (!enough.signal.aborted) {
        asked++
        const someone = await aPerson(client).catch(() => null)
        if (!someone) continue
        answered++
        registered.push(someone)
      }
    })
    await expectStatus(client.logoutAll(leaver!.tokens.access_token), 200)
    const changed = await expectStatus(
      client.post('/v1/me/password', {
        token: changer!.tokens.access_token,
        body: { current_password: password, new_password: `${password} 2` },
      }),
      200,
    )
    await eventually(() => expect(answered).to.be.above(20), recoveryMs)

    const recoveredMs = await failOver(async () => {
      await expectStatus(client.me(stayer!.tokens.access_token), 200, 503)
      await expectStatus(client.protected(stayer!.tokens.access_token), 200)
      expect((await untilReadyIs(503, client)).body.checks).to.include({ redis: 'ok', postgres: 'unavailable' })
    })
    enough.abort()
    await crowd
    await untilReadyIs(200, client)

    for (const { tokens } of [leaver!, { tokens: elsewhere }])
      await expectStatus(client.protected(tokens.access_token), 401)
    expectProblem(await client.login({ email: changer!.email, password }), 401, 'invalid-credentials')
    await expectStatus(client.login({ email: changer!.email, password: `${password} 2` }), 200)
    await expectStatus(client.refresh((changed.body as Tokens).refresh_token), 200)
    for (const { email, tokens } of registered) {
      await expectStatus(client.refresh(tokens.refresh_token), 200)
      await expectStatus(client.login({ email, password }), 200)
    }
    note(
      'PostgreSQL fails over to a synchronous standby',
      `${answered} of ${asked} registrations acknowledged around it, none lost; works ${recoveredMs} ms after the promotion`,
    )
  })

  it('that was behind loses what it had not got, and ends nothing less', async () => {
    const [leaver, everywhere, stayer] = await times(3, () => aPerson(client))
    await pair.cutReplication()
    const late = await aPerson(client)
    await expectStatus(client.logout(leaver!.tokens.access_token), 204)
    await expectStatus(client.logoutAll(everywhere!.tokens.access_token), 200)

    const recoveredMs = await failOver(() => untilReadyIs(503, client))

    for (const { tokens } of [leaver!, everywhere!]) {
      await expectStatus(client.protected(tokens.access_token), 401)
      await expectStatus(client.refresh(tokens.refresh_token), 401)
    }
    await expectStatus(client.refresh(stayer!.tokens.refresh_token), 200)
    await expectStatus(client.refresh(late.tokens.refresh_token), 401)
    await expectStatus(client.register({ email: late.email, password }), 201)
    note(
      'PostgreSQL fails over to a standby that was behind',
      `no ended session alive; works ${recoveredMs} ms after the promotion`,
    )
  })
})
