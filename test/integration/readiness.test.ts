import { expect } from 'chai'
import knexModule, { type Knex } from 'knex'
import { createReadiness, isReady } from '../../src/platform/readiness.ts'
import { continuityOf } from '../support/accounts.ts'
import { eventually } from '../support/eventually.ts'
import { startService } from '../support/service.ts'
import { databaseUrl, keyPrefix, operatorsRedis } from '../support/stores.ts'

describe('readiness', () => {
  let knex: Knex
  before(async () => {
    await (await startService()).close() // so that the database is migrated
    knex = knexModule({ client: 'pg', connection: databaseUrl(), pool: { min: 0, max: 1 } })
  })
  after(() => knex.destroy())

  it('is seen well before a second has passed, and shared by all who ask at once', async () => {
    let migrated = false
    let statements = 0
    knex.on('query', () => (statements += 1))
    const redis = operatorsRedis()
    const readiness = createReadiness({
      redis,
      continuity: continuityOf(redis),
      keyPrefix,
      knex,
      migrated: () => migrated,
      mail: () => 'off',
      log: () => undefined,
    })
    const answers = await Promise.all([readiness(), readiness(), readiness()])
    expect(answers.map(({ migrations }) => migrations)).to.deep.equal(['pending', 'pending', 'pending'])
    expect(statements).to.equal(1)

    await eventually(async () => expect((await readiness()).redis).to.equal('ok'))

    migrated = true
    const startedAt = performance.now()
    await eventually(async () => expect(isReady(await readiness())).to.equal(true))

    expect(performance.now() - startedAt).to.be.below(900)
    const before = statements
    for (let i = 0; i < 50; i++) await readiness()
    expect(statements, 'that it is ready is kept').to.equal(before)
  })
})
