import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import type { Passwords, Person } from '../../src/accounts/index.ts'
import { client, createGate, openAccounts, operator, refusalOf, type AccountsRoom } from '../support/accounts.ts'
import { eventually } from '../support/eventually.ts'
import { password, uniqueEmail } from '../support/people.ts'
import { aThrottle } from '../support/throttle.ts'

const halfAnHour = 1_800_000
const newPassword = 'a quite different sentence'

describe('a link in a mail', () => {
  let room: AccountsRoom
  before(async () => {
    room = await openAccounts()
  })
  after(() => room.close())

  let queued = 0
  const mailTo = ({ id, email }: { id: string; email: string }) => ({
    id: randomUUID(),
    userId: id,
    address: email,
    queuedAt: new Date(room.clock.now() + ++queued),
  })
  const resetToken = async (person: Person) => (await room.accounts.mintResetToken(mailTo(person), halfAnHour))!
  const mintVerification = (person: { id: string; email: string }) =>
    room.accounts.mintVerificationToken(mailTo(person), halfAnHour)
  const write = (id: string, change: Record<string, unknown>) => room.knex('users').where({ id }).update(change)
  const stored = (id: string) => room.knex('users').where({ id }).first()
  const queuedFor = (address: string, kind: string) => room.knex('mails').where({ address, kind })

  async function aPersonWhoWants(email: string) {
    const someone = await room.aPerson()
    const caller = { userId: someone.person.id, sessionId: someone.session.id, client }
    await room.accounts.change(caller, { email, currentPassword: password })
    return { ...someone, caller }
  }

  const harms = {
    'is disabled': () => ({ disabled_at: new Date() }),
    'has another address': () => ({ email: uniqueEmail() }),
  }
  for (const [harm, change] of Object.entries(harms)) {
    it(`to reset a password hashes nothing for an account that ${harm}`, async () => {
      const { person } = await room.aPerson()
      const token = await resetToken(person)
      await write(person.id, change())
      let hashed = 0
      const hash: Passwords['hash'] = (text) => (hashed++, room.passwords.hash(text))

      const reset = room
        .accountsWith({ passwords: { ...room.passwords, hash } })
        .resetPassword(token, newPassword, client)

      expect(await refusalOf(reset)).to.include({ code: 'invalid-reset-token' })
      expect(hashed).to.equal(0)
    })

    it(`to reset a password is refused when the account ${harm} by the time that the new one is hashed`, async () => {
      const { person } = await room.aPerson()
      const token = await resetToken(person)
      const hash: Passwords['hash'] = async (text) => {
        await write(person.id, change())
        return room.passwords.hash(text)
      }

      const reset = room
        .accountsWith({ passwords: { ...room.passwords, hash } })
        .resetPassword(token, newPassword, client)

      expect(await refusalOf(reset)).to.include({ code: 'invalid-reset-token' })
      expect((await stored(person.id)).password_hash).to.equal(person.passwordHash)
    })
  }

  it('that nobody has sent counts against the address of the client, whatever it is said to be for', async () => {
    const throttle = aThrottle(room.redis, { 'wrong-tokens': { points: 2, windowSeconds: 60 } })
    const { resetPassword, verifyEmail } = room.accountsWith({ throttle })
    const guesser = { address: '192.0.2.77', userAgent: null }
    const guess = () => 'x'.repeat(43)

    expect(await refusalOf(resetPassword(guess(), newPassword, guesser))).to.include({ code: 'invalid-reset-token' })
    expect(await refusalOf(verifyEmail(guess(), guesser))).to.include({ code: 'invalid-token-link' })
    expect(await refusalOf(verifyEmail(guess(), guesser))).to.include({ code: 'too-many-attempts' })
    expect(await refusalOf(resetPassword(guess(), newPassword, guesser))).to.include({ code: 'too-many-attempts' })
    const { person } = await room.aPerson()
    await resetPassword(await resetToken(person), newPassword, guesser)
  })

  it('to reset a password hashes nothing when it is spent or too old', async () => {
    let hashed = 0
    const hash: Passwords['hash'] = (text) => (hashed++, room.passwords.hash(text))
    const { resetPassword } = room.accountsWith({ passwords: { ...room.passwords, hash } })
    const { person } = await room.aPerson()
    const spent = await resetToken(person)
    await resetPassword(spent, newPassword, client)
    const old = await resetToken(person)
    room.clock.pass({ minutes: 30 })

    for (const token of [spent, old])
      expect(await refusalOf(resetPassword(token, newPassword, client))).to.include({ code: 'invalid-reset-token' })
    expect(hashed).to.equal(1)
  })

  it('to reset a password confirms the address as well: whoever has it can read its mail', async () => {
    const { person } = await room.aPerson()

    await room.accounts.resetPassword(await resetToken(person), newPassword, client)

    expect((await room.logIn(person.email, newPassword)).person.emailVerifiedAt).to.be.instanceOf(Date)
  })

  it('to reset a password is spent once, by whichever of many is first', async () => {
    const { person } = await room.aPerson()
    const token = await resetToken(person)

    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => room.accounts.resetPassword(token, `${newPassword} ${i}`, client)),
    )

    const won = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []))
    expect(won).to.have.length(1)
    expect((await room.logIn(person.email, `${newPassword} ${won[0]}`)).person.id).to.equal(person.id)
  })

  it('to confirm an address is spent once, by whichever of many is first', async () => {
    const { person } = await room.aPerson()
    const token = (await mintVerification(person))!

    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => room.accounts.verifyEmail(token, client)))

    expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.length(1)
  })

  it('to confirm an address is refused when the account is disabled, or the address is no longer wanted', async () => {
    for (const change of [{ disabled_at: new Date() }, { pending_email: uniqueEmail() }]) {
      const email = uniqueEmail()
      const { person } = await aPersonWhoWants(email)
      const token = (await mintVerification({ id: person.id, email }))!
      await write(person.id, change)

      expect(await refusalOf(room.accounts.verifyEmail(token, client))).to.include({ code: 'invalid-token-link' })
      expect((await stored(person.id)).email).to.equal(person.email)
    }
  })

  it('to confirm an address says so when somebody else has it by now', async () => {
    const email = uniqueEmail()
    const [one, two] = [await aPersonWhoWants(email), await aPersonWhoWants(email)]
    const tokens = [
      await mintVerification({ id: one.person.id, email }),
      await mintVerification({ id: two.person.id, email }),
    ]
    await room.accounts.verifyEmail(tokens[0]!, client)

    expect(await refusalOf(room.accounts.verifyEmail(tokens[1]!, client))).to.include({ code: 'email-taken' })
    expect((await stored(two.person.id)).email).to.equal(two.person.email)
  })

  it('is not made for a disabled account, for an address it does not have or want, nor for one that is confirmed', async () => {
    const { person } = await room.aPerson()
    const { mintResetToken } = room.accounts
    expect(await mintResetToken(mailTo({ id: person.id, email: uniqueEmail() }), halfAnHour)).to.equal(null)
    expect(await mintVerification({ id: person.id, email: uniqueEmail() })).to.equal(null)
    await room.accounts.verifyEmail((await mintVerification(person))!, client)
    expect(await mintVerification(person)).to.equal(null)
    await write(person.id, { disabled_at: new Date() })
    expect(await mintResetToken(mailTo(person), halfAnHour)).to.equal(null)
  })

  it('is not made any more once a mail that was queued later has gone out', async () => {
    const { person } = await room.aPerson()
    const [earlier, later] = [mailTo(person), mailTo(person)]
    const token = (await room.accounts.mintResetToken(later, halfAnHour))!

    expect(await room.accounts.mintResetToken(earlier, halfAnHour)).to.equal(null)
    await room.accounts.resetPassword(token, newPassword, client)
  })

  it('is not made while the person is being changed, but before or after', async () => {
    const { person } = await room.aPerson()
    const gate = createGate()
    const changing = room.knex.transaction(async (trx) => {
      await trx('users').where({ id: person.id }).update({ email: uniqueEmail() })
      await gate.pass()
    })
    await gate.arrived
    const minting = room.accounts.mintResetToken(mailTo(person), halfAnHour)
    await lockWaitedFor()
    gate.open()
    await changing

    expect(await minting).to.equal(null)
  })

  it('is asked for with the same work for everybody: a mail is queued, to nobody where none is wanted', async () => {
    const { person } = await room.aPerson()
    const disabled = await room.aPerson()
    await room.accounts.administration.disable(disabled.person.id, operator)
    const stranger = uniqueEmail()

    for (const email of [person.email, disabled.person.email, stranger])
      await room.accounts.forgotPassword(email, client)

    const recipients = async (email: string) => (await queuedFor(email, 'reset-password')).map(({ user_id }) => user_id)
    expect(await recipients(person.email)).to.deep.equal([person.id])
    for (const { email, id } of [disabled.person, { email: stranger, id: null }]) {
      const [recipient, ...others] = await recipients(email)
      expect(recipient).to.be.a('string').and.not.equal(id)
      expect(others).to.deep.equal([])
    }
  })

  it('to confirm an address goes to nobody when it is confirmed', async () => {
    const { person } = await room.aPerson()
    await room.accounts.verifyEmail((await mintVerification(person))!, client)

    await room.accounts.resendVerification(person.email, client)

    const recipients = (await queuedFor(person.email, 'verify-email')).map(({ user_id }) => user_id === person.id)
    expect(recipients).to.have.members([true, false])
  })

  it('to a wanted address is void after a password change and a reset, and the address is no longer wanted', async () => {
    for (const event of ['change', 'reset']) {
      const email = uniqueEmail()
      const { person, caller } = await aPersonWhoWants(email)
      const token = (await mintVerification({ id: person.id, email }))!
      if (event === 'reset') await room.accounts.resetPassword(await resetToken(person), newPassword, client)
      else await room.accounts.changePassword(caller, { currentPassword: password, newPassword })

      expect((await stored(person.id)).pending_email).to.equal(null)
      expect(await mintVerification({ id: person.id, email })).to.equal(null)
      expect(await refusalOf(room.accounts.verifyEmail(token, client))).to.include({ code: 'invalid-token-link' })
    }
  })

  /** Waits until a statement of the accounts waits for a row that somebody else holds. */
  async function lockWaitedFor(): Promise<void> {
    await eventually(async () => {
      const waiting = room.knex('pg_stat_activity').whereRaw('datname = current_database()')
      expect(await waiting.where({ wait_event_type: 'Lock' })).to.not.have.length(0)
    })
  }
})

describe('a change of an account', () => {
  let room: AccountsRoom
  before(async () => {
    room = await openAccounts()
  })
  after(() => room.close())

  it('is not undone by a login that replaces the hash it has verified', async () => {
    const django = 'pbkdf2_sha256$260000$seasalt$E2mD54hHRBD9/QaYlRQ0tKByc/hoeW8FUsx1qlfLA7A='
    const { person, session } = await room.aPerson()
    await room.knex('users').where({ id: person.id }).update({ password_hash: django })
    const gate = createGate()
    const hash: Passwords['hash'] = async (text) => {
      await gate.pass()
      return room.passwords.hash(text)
    }
    const login = room.logIn(person.email, password, room.accountsWith({ passwords: { ...room.passwords, hash } }))
    await gate.arrived
    const caller = { userId: person.id, sessionId: session.id, client }
    await room.accounts.changePassword(caller, { currentPassword: password, newPassword })
    gate.open()
    await login

    expect(await refusalOf(room.logIn(person.email, password))).to.include({ code: 'invalid-credentials' })
    expect((await room.logIn(person.email, newPassword)).person.id).to.equal(person.id)
  })

  it('to the address that it has already wants nothing and sends nothing', async () => {
    const { person, session } = await room.aPerson()
    const caller = { userId: person.id, sessionId: session.id, client }

    const same = await room.accounts.change(caller, { email: person.email, currentPassword: password })

    expect(same.pendingEmail).to.equal(null)
    expect(await room.knex('mails').where({ user_id: person.id, kind: 'confirm-new-email' })).to.deep.equal([])
  })

  it('is told once when many use a spent refresh token at one instant', async () => {
    const { person, pair } = await room.aPerson()
    await room.accounts.refresh(pair.refreshToken, client)
    room.clock.pass({ seconds: 31 })

    const reuses = Array.from({ length: 4 }, () => refusalOf(room.accounts.refresh(pair.refreshToken, client)))

    for (const refused of await Promise.all(reuses)) expect(refused).to.include({ reason: 'reused' })
    expect(await room.knex('mails').where({ user_id: person.id, kind: 'refresh-token-reused' })).to.have.length(1)
  })

  it('that deletes it leaves nothing of it: no ending, no link, no device', async () => {
    const { person, session } = await room.aPerson()
    const other = await room.logIn(person.email)
    await room.accounts.forgotPassword(person.email, client)
    await room.accounts.mintResetToken(
      { id: randomUUID(), userId: person.id, address: person.email, queuedAt: new Date() },
      halfAnHour,
    )
    await room.accounts.logOut({ userId: person.id, sessionId: other.session.id, client })

    await room.accounts.remove({ userId: person.id, sessionId: session.id, client }, password)

    const tables = ['session_endings', 'password_reset_tokens', 'email_verification_tokens', 'known_devices']
    for (const table of tables) expect(await room.knex(table).where({ user_id: person.id }), table).to.deep.equal([])
  })
})
