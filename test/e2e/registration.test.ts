import { expect } from 'chai'
import { expectProblem, pointersOf } from '../support/client.ts'
import { aPerson, password, uniqueEmail } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'

describe('registration', () => {
  let service: TestService
  before(async () => {
    service = await startService()
  })
  after(() => service.close())

  it('opens the first session and says where the account is', async () => {
    const email = uniqueEmail()

    const answer = await service.client.register({
      email,
      password,
      password_confirmation: password,
      username: `ada-${Date.now()}`,
      name: ' Ada Lovelace ',
      device_name: 'Difference engine',
    })

    expect(answer.status).to.equal(201)
    expect(answer.headers.get('location')).to.equal('/v1/me')
    expect(answer.body.user).to.include({ email, name: 'Ada Lovelace', role: 'user', email_verified: false })
    expect(answer.body.session).to.include({ current: true, device_name: 'Difference engine', ip: '127.0.0.1' })
    expect((await service.client.me(answer.body.access_token)).body).to.deep.equal(answer.body.user)
  })

  it('keeps one canonical spelling of an e-mail address', async () => {
    const email = uniqueEmail()

    const answer = await service.client.register({ email: email.toUpperCase(), password })

    expect(answer.body.user.email).to.equal(email)
  })

  it('refuses an e-mail address that is taken, in any spelling', async () => {
    const { email } = await aPerson(service.client)

    expectProblem(await service.client.register({ email, password }), 409, 'email-taken')
    expectProblem(await service.client.register({ email: email.toUpperCase(), password }), 409, 'email-taken')
  })

  it('refuses a username that is taken, in any case', async () => {
    const username = `Taken-${Date.now()}`
    await aPerson(service.client, { username })

    const answer = await service.client.register({
      email: uniqueEmail(),
      password,
      username: username.toUpperCase(),
    })

    expectProblem(answer, 409, 'username-taken')
  })

  it('names every invalid member at once', async () => {
    const answer = await service.client.register({
      email: 'no address',
      password: 'short',
      password_confirmation: 'shorter',
      username: 'a@b',
      name: 7,
      role: 'admin',
    })

    expectProblem(answer, 400, 'validation-failed')
    expect(pointersOf(answer)).to.have.members([
      '/email',
      '/password',
      '/password_confirmation',
      '/username',
      '/name',
      '/role',
    ])
    expect(answer.text).to.not.include('short"')
  })

  it('says what is wrong with a password alone', async () => {
    const short = await service.client.register({ email: uniqueEmail(), password: 'seven77' })
    const long = await service.client.register({ email: uniqueEmail(), password: 'x'.repeat(129) })

    for (const answer of [short, long]) {
      expectProblem(answer, 400, 'password-refused')
      expect(pointersOf(answer)).to.deep.equal(['/password'])
    }
  })

  it('counts the length of a password in code points and takes every character', async () => {
    for (const fine of ['😀😁😂🤣😃😄😅😆', '   12345', '我喜欢喝茶和看书', '😀😁'.repeat(64), 'q7w3x9k2']) {
      const answer = await service.client.register({ email: uniqueEmail(), password: fine })
      expect(answer.status, answer.text).to.equal(201)
    }
    const seven = await service.client.register({ email: uniqueEmail(), password: '😀'.repeat(7) })
    expectProblem(seven, 400, 'password-refused')
  })

  it('refuses a password that others would guess, and says why', async () => {
    const email = 'grace.hopper@example.com'
    for (const [guessed, why] of [
      ['Password123', 'many people use'],
      ['qwertyuiop', 'many people use'],
      ['zzzzzzzzzz', 'one character repeated'],
      ['Grace.Hopper1906', 'close to your e-mail'],
      ['grace.hopper@example.com', 'close to your e-mail'],
      ['commodore-1', 'close to your e-mail'],
      ['Latchkey2026', 'the name of this service'],
    ] as const) {
      const answer = await service.client.register({ email, password: guessed, username: 'commodore' })
      expectProblem(answer, 400, 'password-refused')
      expect(answer.body.errors[0].detail, guessed).to.include(why)
    }
  })

  it('never coerces a member', async () => {
    const wrong = [null, 1, true, [], ['a@example.com'], { $ne: '' }]
    for (const value of wrong) {
      const asEmail = await service.client.register({ email: value, password })
      expectProblem(asEmail, 400, 'validation-failed')
      expect(pointersOf(asEmail)).to.deep.equal(['/email'])
      const asPassword = await service.client.register({ email: uniqueEmail(), password: value })
      expectProblem(asPassword, 400, 'validation-failed')
      expect(pointersOf(asPassword)).to.deep.equal(['/password'])
    }
  })

  it('refuses members that only the service may set', async () => {
    for (const member of ['id', 'role', 'email_verified', 'disabled_at', 'password_hash', 'constructor']) {
      const answer = await service.client.register({ email: uniqueEmail(), password, [member]: 'x' })
      expect(answer.status, member).to.equal(400)
    }
  })

  it('can be closed', async () => {
    const closed = await startService({ REGISTRATION: 'closed' })

    const answer = await closed.client.register({ email: uniqueEmail(), password })

    expectProblem(answer, 403, 'registration-closed')
    await closed.close()
  })
})
