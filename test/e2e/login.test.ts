import { expect } from 'chai'
import { expectProblem, pointersOf } from '../support/client.ts'
import { aPerson, password, uniqueEmail } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'

describe('login', () => {
  let service: TestService
  before(async () => {
    service = await startService()
  })
  after(() => service.close())

  it('opens a session by e-mail', async () => {
    const { client } = service
    const { email, id } = await aPerson(client)

    const answer = await client.login({ email, password })

    expect(answer.status).to.equal(200)
    expect(answer.body).to.include({ token_type: 'Bearer', expires_in: 900, refresh_expires_in: 604_800 })
    expect(answer.body.user).to.include({ id, email, email_verified: false, role: 'user' })
    expect((await client.protected(answer.body.access_token)).status).to.equal(200)
  })

  it('takes the e-mail address in any case', async () => {
    const { client } = service
    const { email } = await aPerson(client)

    expect((await client.login({ email: email.toUpperCase(), password })).status).to.equal(200)
  })

  it('opens a session by username, in any case', async () => {
    const { client } = service
    const username = `Ada.${Date.now()}`
    await aPerson(client, { username })

    expect((await client.login({ username: username.toLowerCase(), password })).status).to.equal(200)
  })

  it('takes an e-mail address or a username as identifier', async () => {
    const { client } = service
    const username = `grace-${Date.now()}`
    const { email } = await aPerson(client, { username })

    expect((await client.login({ identifier: email, password })).status).to.equal(200)
    expect((await client.login({ identifier: username, password })).status).to.equal(200)
  })

  it('answers the same for a wrong password, an unknown address and a text that is no address', async () => {
    const { client } = service
    const { email } = await aPerson(client)

    const answers = [
      await client.login({ email, password: 'not the password' }),
      await client.login({ email: uniqueEmail(), password }),
      await client.login({ email: 'not an address', password }),
      await client.login({ username: 'nobody\u0000at all', password }),
    ]

    for (const answer of answers) {
      expectProblem(answer, 401, 'invalid-credentials')
      expect(answer.headers.get('www-authenticate')).to.equal('Bearer')
      expect({ ...answer.body, instance: '' }).to.deep.equal({ ...answers[0]!.body, instance: '' })
    }
  })

  it('wants exactly one name', async () => {
    const { client } = service

    const none = await client.login({ password })
    const two = await client.login({ email: 'ada@example.com', username: 'ada', password })

    for (const answer of [none, two]) {
      expectProblem(answer, 400, 'validation-failed')
      expect(pointersOf(answer)).to.deep.equal(['/identifier'])
    }
  })

  it('names every invalid member at once', async () => {
    const answer = await service.client.login({ email: ['a@example.com'], device_name: '\u0007', extra: true })

    expectProblem(answer, 400, 'validation-failed')
    expect(pointersOf(answer)).to.have.members(['/email', '/password', '/device_name', '/extra'])
  })

  it('hashes what was typed whole, in one Unicode form', async () => {
    const { client } = service
    const typed = 'Åse spiser blåbær\u0000 hver dag'
    const { email } = await aPerson(client, { password: typed })

    expect((await client.login({ email, password: typed.normalize('NFD') })).status).to.equal(200)
    for (const other of [typed.trimEnd().slice(0, -1), typed.split('\u0000')[0]!, ` ${typed}`, typed.toLowerCase()])
      expectProblem(await client.login({ email, password: other }), 401, 'invalid-credentials')
  })

  it('always mints a session of its own', async () => {
    const { client } = service
    const { email, tokens } = await aPerson(client)

    const second = await client.login({ email, password }, { 'x-session-id': tokens.session.id })

    expect(second.body.session.id).to.not.equal(tokens.session.id)
    expect(second.body.access_token).to.not.equal(tokens.access_token)
  })

  it('ends the session unused for longest when there are too many', async () => {
    const { client, clock, close } = await startService({ SETTING_SESSIONS_PER_USER_MAX: '2' })
    const { email, tokens: oldest } = await aPerson(client)
    clock.pass({ seconds: 1 })
    const unused = (await client.login({ email, password })).body
    clock.pass({ minutes: 2 })
    await client.refresh(oldest.refresh_token)

    const newest = (await client.login({ email, password })).body

    expectProblem(await client.me(unused.access_token), 401, 'invalid-token', 'evicted')
    expect((await client.sessions(newest.access_token)).body.items).to.have.length(2)
    await close()
  })
})
