import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { systemClock } from '../../src/platform/clock.ts'
import { createSessions, type Lives } from '../../src/sessions/index.ts'
import { parsePointer } from '../../src/sessions/keys.ts'
import { settingDefinitions, type SettingName } from '../../src/settings/index.ts'
import {
  blocksOf,
  differenceFromShown,
  documents,
  readDocument,
  stepsOf,
  tableBelow,
  type Step,
} from '../support/documentation.ts'
import { continuityOf } from '../support/accounts.ts'
import type { ApiClient, Tokens } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { aFreshMachine, type Machine } from '../support/fresh-machine.ts'
import { aPerson, aSession } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { contentOf, keyPrefix, keysLike, operatorsRedis, type AnyRedis } from '../support/stores.ts'

/**
 * What the README shows is run here as it is printed. Run are the blocks marked `sh`, in one shell from the first to the
 * last, and `sql`. Blocks marked `console` are for elsewhere: test/e2e/printed-lines.test.ts has them.
 */

const readme = readDocument('README.md')
const shells = ['bash', 'sh', 'zsh'].filter((name) => spawnSync(name, ['-c', ':']).status === 0)

for (const name of shells) {
  describe(`the commands of the README, pasted into ${name}`, () => {
    const steps = stepsOf(readme)
    let machine: Machine
    let pasted = 0

    before(async function () {
      this.timeout(120_000)
      machine = await aFreshMachine(name)
    })
    after(() => machine.close())

    for (const { script, line, shown } of steps) {
      it(`print what is shown, line ${line}: ${script.split('\n')[0]}`, async () => {
        const { exitCode, said } = await machine.shell.paste(script)

        const difference = differenceFromShown(said, shown)
        if (difference !== null) expect.fail(difference)
        expect(exitCode).to.equal(0)
        pasted += 1
      })
    }

    it('are run, every one', () => {
      const printed = blocksOf(readme).filter(({ language }) => language === 'sh').length
      expect(pasted).to.equal(printed).and.be.greaterThan(10)
    })

    it('show nothing that no command has printed', () => {
      const shown = blocksOf(readme).filter(({ language }) => ['json', 'text'].includes(language)).length
      expect(steps.filter((step) => step.shown)).to.have.length(shown)
    })

    it('find a person in PostgreSQL by the printed query', async () => {
      const queries = blocksOf(readme).filter(({ language }) => language === 'sql')
      expect(queries).to.have.length(1)

      const { rows } = (await machine.knex.raw(queries[0]!.text)) as { rows: { id: string }[] }
      const { said } = await machine.shell.paste(`printf '%s\\n' "$USER_ID"`)
      expect(rows).to.deep.equal([{ id: said.trim() }])
    })

    it('leave keys in Redis that the README lists, of the listed type, each with an expiry', async () => {
      const listed = tableBelow(readme, 'Keys').map(([key, type]) => ({
        form: new RegExp(
          `^${key!
            .replaceAll('`', '')
            .replace('<rule>', '[a-z-]+')
            .replaceAll(/<[a-z ]+>/g, '[0-9a-f-]+')}$`,
        ),
        type: type!.toLowerCase(),
      }))
      const keys = await keysLike(machine.redis, '*')
      const seen = new Set<RegExp>()
      for (const key of keys) {
        const listing = listed.find(({ form }) => form.test(key))
        expect(listing, key).to.not.equal(undefined)
        expect(await machine.redis.type(key), key).to.equal(listing!.type)
        expect(await machine.redis.ttl(key), key).to.be.greaterThan(0)
        seen.add(listing!.form)
      }
      // No store fails in the tour, so nothing is unwritten.
      expect(seen.size, 'listed keys that were there').to.equal(listed.length - 1)
    })

    it('leave no token of a mail in PostgreSQL', async () => {
      const { said } = await machine.shell.paste(`printf '%s\\n' "$TOKEN"`)
      const token = said.trim()
      expect(token).to.match(/^[\w-]{43}$/)
      const stored = JSON.stringify([
        await machine.knex('password_reset_tokens'),
        await machine.knex('email_verification_tokens'),
        await machine.knex('mails'),
      ])
      expect(stored).to.include('ada@example.com').and.not.include(token)
    })

    it('leave no token in Redis, in no key and no value', async () => {
      const { said } = await machine.shell.paste(`printf '%s\\n' "$ACCESS" "$REFRESH" "$PHONE" "$LAPTOP"`)
      const stored: unknown[] = []
      for (const key of await keysLike(machine.redis, '*')) stored.push(key, await contentOf(machine.redis, key))

      for (const token of said.trim().split('\n')) {
        expect(token).to.match(/^[0-9a-f-]{36}$/)
        expect(JSON.stringify(stored)).to.not.include(token)
      }
    })
  })
}

for (const place of documents().filter((name) => name.startsWith(`docs${path.sep}`)))
  for (const name of shells) {
    const steps = stepsOf(readDocument(place))
    if (steps.length === 0) continue
    describe(`the commands of ${place}, pasted into ${name}`, function () {
      this.timeout(60_000)
      let machine: Machine
      before(async () => {
        machine = await aFreshMachine(name, path.basename(place, '.md'))
      })
      after(() => machine.close())

      for (const step of steps) pasting(step, () => machine)

      it('show nothing that no command has printed', () => {
        const blocks = blocksOf(readDocument(place)).filter(({ language }) => ['json', 'text'].includes(language))
        expect(steps.filter((step) => step.shown)).to.have.length(blocks.length)
      })

      for (const { text, line } of blocksOf(readDocument(place)).filter(({ language }) => language === 'sql'))
        it(`find something by the query in line ${line}`, async () => {
          const { rows } = (await machine.knex.raw(text)) as { rows: unknown[] }
          expect(rows).to.not.have.length(0)
        })
    })
  }

describe('the commands of docs/operating.md with the API down', function () {
  this.timeout(60_000)
  const place = path.join('docs', 'operating.md')
  const stoppedAtLine = readDocument(place).split('\n').indexOf('## Finding somebody') + 1
  const steps = stepsOf(readDocument(place))
  let machine: Machine
  before(async () => {
    machine = await aFreshMachine(shells[0]!, 'down')
  })
  after(() => machine.close())

  for (const step of steps.filter(({ line }) => line < stoppedAtLine)) pasting(step, () => machine)

  it('go on when it is stopped', async () => {
    await machine.stopApi()
    const { exitCode } = await machine.shell.paste('curl -sS http://127.0.0.1:3000/health/live')
    expect(exitCode).to.not.equal(0)
  })

  for (const step of steps.filter(({ line, needsApi }) => line > stoppedAtLine && !needsApi))
    pasting(step, () => machine)
})

/** Says that a step of a document prints what is shown below it. */
function pasting({ script, line, shown }: Step, machine: () => Machine): void {
  it(`print what is shown, line ${line}: ${script.split('\n')[0]}`, async () => {
    const { exitCode, said } = await machine().shell.paste(script)

    const difference = differenceFromShown(said, shown)
    if (difference !== null) expect.fail(difference)
    expect(exitCode).to.equal(0)
  })
}

describe('what the README says of sessions', () => {
  let service: TestService
  let client: ApiClient
  before(async () => {
    service = await startService()
    client = service.client
  })
  after(() => service.close())

  it('holds for how long keys live', async () => {
    const redis = operatorsRedis()
    const seconds = (name: Extract<SettingName, `${string}_seconds`>) => settingDefinitions[name].initial
    const lives: Record<string, number> = {
      sessions: seconds('session_absolute_ttl_seconds') + seconds('refresh_reuse_window_seconds'),
      at: 2 * seconds('access_token_ttl_seconds'),
      rt: seconds('session_idle_ttl_seconds') + seconds('refresh_reuse_window_seconds'),
      ended: seconds('session_idle_ttl_seconds') + seconds('refresh_reuse_window_seconds'),
      revocations: 86_400,
      unwritten: seconds('session_idle_ttl_seconds') + seconds('refresh_reuse_window_seconds'),
      limit: seconds('wrong_passwords_window_seconds'),
    }
    const person = await aPerson(client)
    const pointers = async (part: string) => {
      const keys = await keysLike(redis, `${keyPrefix}${part}:*`)
      const targets = await Promise.all(keys.map((key) => redis.get(key)))
      return keys.filter((_, i) => parsePointer(targets[i]!)?.userId === person.id)
    }
    const [first] = await pointers('rt')
    const fresh = (await client.refresh(person.tokens.refresh_token)).body as Tokens
    const second = (await pointers('rt')).find((key) => key !== first)!
    await aSession(client, person)
    await client.logout(fresh.access_token)
    await client.login({ email: person.email, password: 'not the password' })
    const measured: Record<string, number> = {
      sessions: await redis.ttl(`${keyPrefix}sessions:{${person.id}}`),
      at: await redis.ttl((await pointers('at'))[0]!),
      rt: await redis.ttl(second),
      ended: await redis.ttl(`${keyPrefix}ended:${fresh.session.id}`),
      revocations: await redis.ttl(`${keyPrefix}revocations`),
      unwritten: await ttlOfUnwritten(redis),
      limit: await redis.ttl(`${keyPrefix}limit:wrong-passwords:${person.id}`),
    }

    for (const [key, , , said] of tableBelow(readme, 'Keys')) {
      const part = /:(\w+)/.exec(key!)![1]!
      expect(measured[part], part).to.be.closeTo(lives[part]!, 5)
      expect(said, part).to.include(inWords(lives[part]!))
    }
    await eventually(async () =>
      expect(await redis.ttl(first!)).to.be.closeTo(seconds('refresh_reuse_window_seconds'), 5),
    )
  })

  it('holds for the reasons of a refused refresh', async () => {
    const reused = await aPerson(client)
    const next = (await client.refresh(reused.tokens.refresh_token)).body as Tokens
    await client.refresh(next.refresh_token)
    const ended = await aPerson(client)
    await client.logout(ended.tokens.access_token)
    const expired = await aPerson(client)
    const answers = [
      await client.refresh(randomUUID()),
      await client.refresh(reused.tokens.refresh_token),
      await client.refresh(ended.tokens.refresh_token),
    ]
    service.clock.pass({ days: 7 })
    answers.push(await client.refresh(expired.tokens.refresh_token))

    const given = answers.map(({ status, body }) => (status === 401 ? `\`${body.reason}\`` : status))
    const listed = tableBelow(readme, 'Why a refresh token is refused').map(([reason]) => reason)
    expect(given).to.have.members(listed)
  })
})

function inWords(seconds: number): string {
  return seconds >= 172_800 ? `${seconds / 86_400} d` : seconds >= 7200 ? `${seconds / 3600} h` : `${seconds / 60} min`
}

/** Notes an ending as the service does when PostgreSQL is away, with the default lives. */
async function ttlOfUnwritten(redis: AnyRedis): Promise<number> {
  const userId = randomUUID()
  const { session_idle_ttl_seconds: idle, refresh_reuse_window_seconds: reuseWindow } = settingDefinitions
  const lives = { idleMs: idle.initial * 1000, reuseWindowMs: reuseWindow.initial * 1000 } as Lives
  const sessions = createSessions({
    redis,
    continuity: continuityOf(redis),
    prefix: keyPrefix,
    clock: systemClock,
    lives: () => lives,
    log: () => undefined,
  })
  await sessions.noteUnwritten(userId, [randomUUID()], 'logged-out-everywhere')
  return redis.ttl(`${keyPrefix}unwritten:{${userId}}`)
}
