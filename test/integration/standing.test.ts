import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { createUsersTable, type Standing } from '../../src/accounts/users-table.ts'
import { client, openAccounts, operator, type AccountsRoom } from '../support/accounts.ts'
import { ownDatabase } from '../support/stores.ts'

describe('what PostgreSQL says of the sessions that ask for new tokens', function () {
  this.timeout(30_000)

  let database: Awaited<ReturnType<typeof ownDatabase>>
  let room: AccountsRoom
  before(async () => {
    database = await ownDatabase()
    room = await openAccounts({ postgres: database.url })
  })
  after(async () => {
    await room.close()
    await database.drop()
  })

  const said = (standing: Standing) => (standing.kind === 'good' ? standing.person.id : standing.reason)

  it('is asked in one statement for all of one turn, and told to each for itself', async () => {
    const good = (await room.aPerson()).session
    const loggedOut = (await room.aPerson()).session
    const disabled = (await room.aPerson()).session
    const outOfDate = (await room.aPerson()).session
    await room.accounts.logOut({ userId: loggedOut.userId, sessionId: loggedOut.id, client })
    await room.accounts.administration.disable(disabled.userId, operator)
    await room.accounts.logOutEverywhere({ userId: outOfDate.userId, sessionId: outOfDate.id, client })
    const nobodys = { ...good, userId: randomUUID() }
    const damaged = { ...good, id: 'zz'.repeat(18) }
    const users = createUsersTable(room.knex)
    let statements = 0
    const count = () => (statements += 1)
    room.knex.on('query', count)

    const asked = [damaged, good, loggedOut, nobodys, disabled, outOfDate, good]
    const answers = await Promise.all(asked.map((session) => users.standing(session)))

    room.knex.off('query', count)
    expect(answers.map(said)).to.deep.equal([
      'revoked',
      good.userId,
      'logged-out',
      'revoked',
      'disabled',
      'revoked',
      good.userId,
    ])
    expect(statements).to.equal(1)
  })

  it('is asked anew by whoever comes later', async () => {
    const { session } = await room.aPerson()
    const users = createUsersTable(room.knex)
    const before = users.standing(session)
    expect((await before).kind).to.equal('good')

    await room.accounts.logOut({ userId: session.userId, sessionId: session.id, client })

    expect(said(await users.standing(session))).to.equal('logged-out')
  })

  it('fails for all who ask when it cannot be asked', async () => {
    const { session } = await room.aPerson()
    const users = createUsersTable(room.knex)
    await room.knex.raw('alter table session_endings rename to hidden')

    const answers = await Promise.all([session, session].map((one) => users.standing(one).then(said, String)))

    await room.knex.raw('alter table hidden rename to session_endings')
    for (const answer of answers) expect(answer).to.include('unavailable')
  })
})
