import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import type { Knex } from 'knex'
import { firstAdmin } from '../support/admins.ts'
import type { Tokens } from '../support/client.ts'
import { connectPostgres } from '../support/own-stores.ts'
import { aPerson, aSession, password, type Someone } from '../support/people.ts'
import { plantResetToken } from '../support/reset-token.ts'
import { random, seed } from '../support/seed.ts'
import { startService, type TestService } from '../support/service.ts'
import { databaseUrl } from '../support/stores.ts'

describe('logins with the old password, over two instances', function () {
  this.timeout(60_000)
  const rounds = 12
  const newPassword = 'another sentence that nobody guesses'
  const chance = random('old passwords')
  const wide = { SETTING_SESSIONS_PER_USER_MAX: '1000' }

  let one: TestService
  let two: TestService
  let knex: Knex
  let admin: Someone
  before(async () => {
    one = await startService(wide)
    two = await startService(wide, { clock: one.clock })
    knex = connectPostgres(databaseUrl())
    admin = await firstAdmin(one.client)
  })
  after(async () => {
    await one.close()
    await two.close()
    await knex.destroy()
  })

  /** What ends the old password, or the person's right to log in with it; each returns the status of its answer. */
  const changes: Record<string, (someone: Someone) => Promise<() => Promise<number>>> = {
    'a reset': async (someone) => {
      const token = await plantResetToken(knex, someone)
      const body = { token, new_password: newPassword }
      return async () => (await one.client.post('/v1/auth/reset-password', { body })).status
    },
    'a change of the password': async ({ tokens: { access_token: token } }) => {
      const body = { current_password: password, new_password: newPassword }
      return async () => (await one.client.post('/v1/me/password', { token, body })).status
    },
    disabling: async ({ id }) => {
      const path = `/v1/admin/users/${id}/disable`
      return async () => (await one.client.post(path, { token: admin.tokens.access_token })).status
    },
  }

  for (const [name, prepare] of Object.entries(changes))
    it(`F59 leave no session behind when they race with ${name}, whoever is first by how much`, async () => {
      let count = 0
      for (let round = 0; round < rounds; round++) {
        const someone = await aPerson(two.client)
        const change = await prepare(someone)
        const changed = delay(chance() * 60).then(change)
        const lanes = Array.from({ length: 4 }, async (_, i) => {
          const letIn: Tokens[] = []
          for (;;) {
            const answer = await (i % 2 === 0 ? one : two).client.login({ email: someone.email, password })
            if (answer.status !== 200) {
              expect(answer.status, answer.text).to.equal(401)
              return letIn
            }
            letIn.push(answer.body as Tokens)
          }
        })
        const all = (await Promise.all(lanes)).flat()
        expect(await changed).to.be.oneOf([200, 204])
        count += all.length

        for (const { access_token, refresh_token } of all) {
          expect((await two.client.me(access_token)).status, `seed ${seed}, round ${round}`).to.equal(401)
          expect((await one.client.refresh(refresh_token)).status, `seed ${seed}, round ${round}`).to.equal(401)
        }
        expect((await two.client.login({ email: someone.email, password })).status).to.equal(401)
        if (name === 'disabling') continue
        const last = await aSession(two.client, { ...someone, password: newPassword })
        const { items } = (await two.client.sessions(last.access_token)).body
        const kept = name === 'a reset' ? [last.session.id] : [last.session.id, someone.tokens.session.id]
        expect((items as { id: string }[]).map(({ id }) => id)).to.have.members(kept)
      }
      expect(count, 'logins that came before it').to.be.above(rounds)
    })
})
