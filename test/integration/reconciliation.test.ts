import { expect } from 'chai'
import type { OpenSession } from '../../src/sessions/index.ts'
import { client, openAccounts, type AccountsRoom } from '../support/accounts.ts'

describe('mending a session', () => {
  let room: AccountsRoom
  before(async () => {
    room = await openAccounts()
  })
  after(() => room.close())

  /** A session as a survey reads it, which is refreshed right after. */
  async function aSessionThatMovesOn(): Promise<OpenSession> {
    const { session, pair, person } = await room.aPerson()
    let read: OpenSession | undefined
    for await (const { open } of room.sessions.upkeep.survey())
      read ??= open.find((one) => one.session.id === session.id)
    const presented = await room.sessions.present(pair.refreshToken)
    if (presented.kind !== 'usable') throw new Error(presented.kind)
    const card = { username: null, email: person.email, verified: false, role: 'user', updatedAt: 0 }
    await room.sessions.refresh(presented.held, { card, client })
    return read!
  }

  it('does nothing where the session has moved on since it was read', async () => {
    const read = await aSessionThatMovesOn()

    expect(await room.sessions.upkeep.endIf(read, 'revoked')).to.equal(false)
    expect(await room.sessions.upkeep.point(read)).to.equal(false)
    expect(await room.sessions.find(read.session.userId, read.session.id)).to.not.equal(null)
    const now = (await room.sessions.upkeep.reread(read))!
    expect(await room.sessions.upkeep.endIf(now, 'revoked')).to.equal(true)
    expect(await room.sessions.find(read.session.userId, read.session.id)).to.equal(null)
    expect(await room.sessions.reasonOf(read.session.id)).to.equal('revoked')
  })
})
