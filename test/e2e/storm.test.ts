import { expect } from 'chai'
import { expectProblem } from '../support/client.ts'
import { aPerson, password } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'

describe('a storm of logins', function () {
  this.timeout(40_000)
  let service: TestService
  before(async () => {
    service = await startService({
      ARGON2_MEMORY_KIB: '19456',
      HASHES_AT_ONCE: '1',
      HASHES_WAITING_MAX: '20',
    })
  })
  after(() => service.close())

  it('F54 is let in as far as there is room, turned away beyond, and passes token checks by', async () => {
    const { client } = service
    const someone = await aPerson(client)
    const finished: string[] = []
    const logins = Array.from({ length: 200 }, async () => {
      const answer = await client.login({ email: someone.email, password })
      finished.push('login')
      return answer
    })
    const checks = Array.from({ length: 50 }, async () => {
      const answer = await client.protected(someone.tokens.access_token)
      finished.push('check')
      return answer
    })

    const live = await client.get('/health/live')
    expect(live.status).to.equal(200)
    expect((await Promise.all(checks)).map(({ status }) => status)).to.deep.equal(checks.map(() => 200))
    const answers = await Promise.all(logins)

    const refused = answers.filter(({ status }) => status === 503)
    expect(refused.length).to.be.within(1, 199)
    for (const answer of refused) expectProblem(answer, 503, 'unavailable')
    for (const { headers } of refused) expect(Number(headers.get('retry-after'))).to.be.at.least(1)
    expect(answers.filter(({ status }) => status === 200).length).to.equal(200 - refused.length)
    const told = (name: string) => service.logged.filter(({ event }) => event === name)
    expect(told('hashing.crowded')).to.have.length(1)
    expect(told('store.failed')).to.have.length(0)
    expect(finished.lastIndexOf('check')).to.be.lessThan(finished.lastIndexOf('login'))
  })
})
