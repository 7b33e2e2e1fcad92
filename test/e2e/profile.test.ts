import { expect } from 'chai'
import { expectProblem, pointersOf, type Json } from '../support/client.ts'
import { aPerson, aSession } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'

describe('the caller’s account', () => {
  let service: TestService
  before(async () => {
    service = await startService()
  })
  after(() => service.close())

  const change = (method: string, token: string, body: Json) => service.client.call(method, '/v1/me', { token, body })

  for (const method of ['PATCH', 'PUT'])
    it(`takes a username and a name by ${method}; what is missing stays, null clears`, async () => {
      const { tokens } = await aPerson(service.client)
      const username = `${method}-${Date.now()}`

      const both = await change(method, tokens.access_token, { username, name: 'Grace' })
      expect(both.status).to.equal(200)
      expect(both.body).to.include({ username, name: 'Grace' })

      expect((await change(method, tokens.access_token, { name: null })).body).to.include({ username, name: null })
      expect((await change(method, tokens.access_token, {})).body).to.include({ username, name: null })
      expect((await service.client.me(tokens.access_token)).body).to.include({ username, name: null })
    })

  it('is left as it is by a change of nothing', async () => {
    const { tokens } = await aPerson(service.client)

    const answer = await change('PATCH', tokens.access_token, {})

    expect(answer.body).to.deep.equal(tokens.user)
  })

  it('shows a change with the next request of every session', async () => {
    const { client } = service
    const someone = await aPerson(client)
    const other = await aSession(client, someone)
    const username = `next-${Date.now()}`

    await change('PATCH', someone.tokens.access_token, { username })

    expect((await client.protected(other.access_token)).body.message).to.include(username)
  })

  it('refuses a username that somebody has, in any case, and keeps everything', async () => {
    const username = `Somebody-${Date.now()}`
    await aPerson(service.client, { username })
    const { tokens } = await aPerson(service.client)

    const answer = await change('PATCH', tokens.access_token, { username: username.toLowerCase(), name: 'Lost?' })

    expectProblem(answer, 409, 'username-taken')
    expect((await service.client.me(tokens.access_token)).body).to.include({ username: null, name: null })
  })

  it('names every invalid member at once, those it does not know included', async () => {
    const { tokens } = await aPerson(service.client)

    const answer = await change('PATCH', tokens.access_token, { username: 'a', name: 5, role: 'admin', id: 'x' })

    expectProblem(answer, 400, 'validation-failed')
    expect(pointersOf(answer)).to.have.members(['/username', '/name', '/role', '/id'])
  })
})
