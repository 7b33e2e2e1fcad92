import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { migrationSource } from '../../migrations/index.ts'
import { readConfig } from '../../src/config.ts'
import { AppError, type Fault } from '../../src/errors.ts'
import { createBulletin, type Bulletin } from '../../src/platform/bulletin.ts'
import { migrate } from '../../src/platform/migrate.ts'
import type { Knex } from '../../src/platform/postgres.ts'
import { createSettings, settingDefinitions, settingNames, type SettingChange } from '../../src/settings/index.ts'
import { movableClock } from '../support/clock.ts'
import { eventually } from '../support/eventually.ts'
import { connectPostgres } from '../support/own-stores.ts'
import { ownDatabase } from '../support/stores.ts'

const ada = { id: randomUUID() }
const operator = { id: null }

async function faultsOf(promise: Promise<unknown>): Promise<readonly Fault[] | undefined> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).to.be.instanceOf(AppError)
  expect((error as AppError).code).to.equal('validation-failed')
  return (error as AppError).faults
}

describe('the settings', () => {
  const clock = movableClock()
  let database: Awaited<ReturnType<typeof ownDatabase>>
  let knex: Knex
  let recorded: (SettingChange & { by: string | null })[]
  let logged: unknown[]

  /** The settings as one process has them. */
  function aProcess(env: Record<string, string> = {}, record = noteDown) {
    const { settings } = readConfig({ DATABASE_URL: database.url, REDIS_URL: 'redis://127.0.0.1', ...env })
    const log = (event: string, fields?: object) => logged.push({ event, ...fields })
    return createSettings({ knex, startValues: settings, clock, log, record })
  }

  async function noteDown(_trx: Knex, change: SettingChange, by: { id: string | null }): Promise<void> {
    recorded.push({ ...change, by: by.id })
  }

  before(async () => {
    database = await ownDatabase()
    await migrate(database.url, migrationSource)
    knex = connectPostgres(database.url)
  })
  after(async () => {
    await knex.destroy()
    await database.drop()
  })
  beforeEach(async () => {
    recorded = []
    logged = []
    await knex('settings').del()
    await knex('lives').del()
  })

  it('are what the environment says until somebody changes them', async () => {
    const settings = aProcess({ SETTING_REFRESH_GRACE_SECONDS: '5', SETTING_SIGN_IN_NOTICES: 'false' })

    await settings.reread()

    expect(settings.current()).to.include({ refresh_grace_seconds: 5, sign_in_notices: false })
    expect(settings.current().access_token_ttl_seconds).to.equal(900)
  })

  it('hold for the process that has changed them when the change is done, and for others when they read again', async () => {
    const [mine, other] = [aProcess(), aProcess({ SETTING_REFRESH_GRACE_SECONDS: '5' })]
    await other.reread()

    await mine.change({ refresh_grace_seconds: 7, sign_in_notices: false }, ada)

    expect(mine.current()).to.include({ refresh_grace_seconds: 7, sign_in_notices: false })
    expect(other.current()).to.include({ refresh_grace_seconds: 5, sign_in_notices: true })
    await other.reread()
    expect(other.current()).to.include({ refresh_grace_seconds: 7, sign_in_notices: false })
  })

  it('go back to the start value of each process', async () => {
    const [mine, other] = [aProcess(), aProcess({ SETTING_REFRESH_GRACE_SECONDS: '5' })]
    await mine.change({ refresh_grace_seconds: 7 }, ada)

    await mine.change({ refresh_grace_seconds: null }, operator)

    await other.reread()
    expect(mine.current().refresh_grace_seconds).to.equal(30)
    expect(other.current().refresh_grace_seconds).to.equal(5)
    expect(await knex('settings')).to.deep.equal([])
  })

  it('are listed with value, start value, bounds, meaning, and who changed them when', async () => {
    const settings = aProcess({ SETTING_REFRESH_GRACE_SECONDS: '5' })

    const changed = await settings.change({ refresh_grace_seconds: 7 }, ada)

    expect(await settings.list()).to.deep.equal(changed)
    expect(changed.map(({ name }) => name)).to.deep.equal(settingNames)
    const of = (name: string) => changed.find((setting) => setting.name === name)
    expect(of('refresh_grace_seconds')).to.deep.equal({
      name: 'refresh_grace_seconds',
      type: 'integer',
      value: 7,
      startValue: 5,
      bounds: { min: 0, max: 300 },
      meaning: settingDefinitions.refresh_grace_seconds.meaning,
      changedAt: new Date(clock.now()),
      changedBy: ada.id,
    })
    expect(of('sign_in_notices')).to.deep.equal({
      name: 'sign_in_notices',
      type: 'boolean',
      value: true,
      startValue: true,
      bounds: null,
      meaning: settingDefinitions.sign_in_notices.meaning,
      changedAt: null,
      changedBy: null,
    })
  })

  it('are changed all or none, and the refusal names everything that is wrong, with the bounds', async () => {
    const settings = aProcess()

    const faults = await faultsOf(
      settings.change(
        {
          refresh_grace_seconds: 7,
          access_token_ttl_seconds: 0,
          session_idle_ttl_seconds: '900',
          sign_in_notices: 'false',
          constructor: 1,
          ['__proto__']: 1,
        },
        ada,
      ),
    )

    expect(faults).to.deep.equal([
      { member: 'access_token_ttl_seconds', detail: 'must be a whole number from 1 to 86400' },
      { member: 'session_idle_ttl_seconds', detail: 'must be a whole number from 1 to 31536000' },
      { member: 'sign_in_notices', detail: 'must be true or false' },
      { member: 'constructor', detail: 'is no setting' },
      { member: '__proto__', detail: 'is no setting' },
    ])
    expect(await knex('settings')).to.deep.equal([])
    expect(recorded).to.deep.equal([])
  })

  it('take what is within the bounds and of the type, and nothing else', async () => {
    const settings = aProcess()
    const value = fc.oneof(
      fc.integer({ min: -2, max: 40_000_000 }),
      fc.double(),
      fc.boolean(),
      fc.string(),
      fc.anything(),
    )
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...settingNames), value, async (name, wanted) => {
        const definition = settingDefinitions[name]
        const isRight =
          wanted === null ||
          (definition.type === 'boolean'
            ? typeof wanted === 'boolean'
            : Number.isSafeInteger(wanted) &&
              (wanted as number) >= definition.min &&
              (wanted as number) <= definition.max)
        const change = settings.change({ [name]: wanted }, ada)
        if (!isRight) expect((await faultsOf(change))?.map(({ member }) => member)).to.deep.equal([name])
        else {
          await change
          expect(settings.current()[name]).to.equal(wanted ?? definition.initial)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('record who changed what from what to what, and nothing where nothing changes', async () => {
    const settings = aProcess()

    await settings.change({ refresh_grace_seconds: 7, sign_in_notices: false }, ada)
    await settings.change({ refresh_grace_seconds: 7, sign_in_notices: true }, ada)
    await settings.change({ refresh_grace_seconds: null, session_idle_ttl_seconds: null }, operator)

    expect(recorded).to.deep.equal([
      { name: 'refresh_grace_seconds', from: null, to: 7, by: ada.id },
      { name: 'sign_in_notices', from: null, to: false, by: ada.id },
      { name: 'sign_in_notices', from: false, to: true, by: ada.id },
      { name: 'refresh_grace_seconds', from: 7, to: null, by: null },
    ])
  })

  it('stay as they are when the change cannot be recorded', async () => {
    const settings = aProcess({}, () => Promise.reject(new AppError('unavailable')))

    const outcome = await settings.change({ refresh_grace_seconds: 7 }, ada).catch((error: AppError) => error.code)

    expect(outcome).to.equal('unavailable')
    await settings.reread()
    expect(settings.current().refresh_grace_seconds).to.equal(30)
    expect(await knex('settings')).to.deep.equal([])
  })

  it('record of changes at one instant a chain: each replaces what the one before has written', async () => {
    const processes = [aProcess(), aProcess(), aProcess()]

    await Promise.all(Array.from({ length: 15 }, (_, i) => processes[i % 3]!.change({ refresh_grace_seconds: i }, ada)))

    const [row] = (await knex('settings')) as { value: number }[]
    expect(recorded).to.have.length(15)
    expect(recorded.map(({ from }) => from)).to.deep.equal([null, ...recorded.slice(0, -1).map(({ to }) => to)])
    expect(recorded.at(-1)!.to).to.equal(row!.value)
  })

  describe('that are lives', () => {
    const life = 'access_token_ttl_seconds'
    const ago = (seconds: number) => clock.now() - seconds * 1000
    const lapsedIn = (settings: ReturnType<typeof aProcess>) => settings.lapsed()[life]

    it('leave behind, for every process, up to when they had ended things, whatever they are changed to', async () => {
      const [mine, other] = [aProcess(), aProcess()]
      await mine.reread()
      expect(lapsedIn(mine)).to.equal(0)

      await mine.change({ [life]: 60 }, ada)
      expect(lapsedIn(mine)).to.equal(ago(900))

      clock.pass({ seconds: 30 })
      await mine.change({ [life]: 1200 }, ada)
      expect(lapsedIn(mine)).to.equal(ago(60))
      const kept = lapsedIn(mine)

      clock.pass({ seconds: 30 })
      await mine.change({ [life]: null }, ada)
      expect(lapsedIn(mine), 'the life of 1200 seconds had ended less').to.equal(kept)
      expect(await knex('settings')).to.deep.equal([])
      await other.reread()
      expect(other.lapsed()).to.deep.equal(mine.lapsed())
      expect(other.lapsed()).to.include({
        session_idle_ttl_seconds: 0,
        session_absolute_ttl_seconds: 0,
        refresh_grace_seconds: 0,
      })
    })

    it('leave it behind when they are unset, too, and when a start value follows another', async () => {
      const settings = aProcess()
      await settings.noteStartValues()
      await settings.change({ [life]: 60 }, ada)
      clock.pass({ seconds: 90 })
      await settings.change({ [life]: null }, ada)
      expect(lapsedIn(settings)).to.equal(ago(60))

      clock.pass({ minutes: 30 })
      const restarted = aProcess({ SETTING_ACCESS_TOKEN_TTL_SECONDS: '3600' })
      await restarted.noteStartValues()
      await restarted.reread()
      expect(lapsedIn(restarted)).to.equal(ago(900))

      const kept = lapsedIn(restarted)
      clock.pass({ days: 1 })
      await restarted.noteStartValues()
      await restarted.reread()
      expect(lapsedIn(restarted), 'the same start value is no change').to.equal(kept)
    })

    it('go by what is stored, and not by start values that do not hold', async () => {
      const settings = aProcess()
      await settings.noteStartValues()
      await settings.change({ [life]: 3600 }, ada)
      const kept = lapsedIn(settings)
      clock.pass({ hours: 2 })

      const restarted = aProcess({ SETTING_ACCESS_TOKEN_TTL_SECONDS: '60' })
      await restarted.noteStartValues()
      await restarted.reread()

      expect(lapsedIn(restarted)).to.equal(kept)
      await restarted.change({ [life]: null }, ada)
      expect(lapsedIn(restarted)).to.equal(ago(3600))
    })

    it('are known by the start value of the services, whatever is in the environment of who changes them', async () => {
      await aProcess({ SETTING_ACCESS_TOKEN_TTL_SECONDS: '3600' }).noteStartValues()

      const atTheCommandLine = aProcess()
      await atTheCommandLine.change({ [life]: 7200 }, operator)

      expect(lapsedIn(atTheCommandLine)).to.equal(ago(3600))
    })

    it('are never read apart from what the life before has left', async () => {
      const [mine, other] = [aProcess(), aProcess()]
      await mine.reread()
      const pairOf = (settings: ReturnType<typeof aProcess>) => `${settings.current()[life]} ${lapsedIn(settings)}`
      const left = [pairOf(mine)]
      const seen = new Set<string>()
      const changing = new AbortController()
      const reading = (async () => {
        while (!changing.signal.aborted) {
          await other.reread()
          seen.add(pairOf(other))
        }
      })()

      for (let seconds = 60; seconds < 100; seconds++) {
        clock.pass({ minutes: 10 })
        await mine.change({ [life]: seconds }, ada)
        left.push(pairOf(mine))
      }
      changing.abort()
      await reading

      expect(seen.size).to.be.greaterThan(10)
      expect(left).to.include.members([...seen])
    })
  })

  describe('that every process follows', () => {
    let bulletin: Bulletin
    let followed: ReturnType<typeof aProcess>
    beforeEach(async () => {
      followed = aProcess()
      bulletin = createBulletin({ url: database.url, timeoutMs: 1000, log: () => undefined })
      bulletin.follow('settings', followed.reread)
      await bulletin.start()
    })
    afterEach(() => bulletin.stop())

    const follows = (seconds: number) =>
      eventually(() => expect(followed.current().refresh_grace_seconds).to.equal(seconds), 1000)

    it('hold everywhere within a second', async () => {
      await aProcess().change({ refresh_grace_seconds: 7 }, ada)
      await follows(7)

      await aProcess().change({ refresh_grace_seconds: null }, ada)
      await follows(30)
    })

    it('hold there within a second also when the connection for the news is cut just before or just after', async () => {
      const cut = () =>
        knex.raw(`
          select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'latchkey bulletin' and datname = current_database()`)

      await cut()
      await aProcess().change({ refresh_grace_seconds: 7 }, ada)
      await follows(7)

      await aProcess().change({ refresh_grace_seconds: 8 }, ada)
      await cut()
      await follows(8)
    })
  })

  it('ignore, and log once, what is stored and not known or allowed', async () => {
    const settings = aProcess()
    const at = new Date()
    await knex('settings').insert([
      { name: 'access_token_ttl_seconds', value: '0', changed_at: at },
      { name: 'sign_in_notices', value: '"no"', changed_at: at },
      { name: 'of_another_version', value: '1', changed_at: at },
      { name: 'refresh_grace_seconds', value: '7', changed_at: at },
    ])

    await settings.reread()
    await settings.reread()

    expect(settings.current()).to.include({
      access_token_ttl_seconds: 900,
      sign_in_notices: true,
      refresh_grace_seconds: 7,
    })
    expect(settings.current()).to.have.all.keys(...settingNames)
    expect(logged).to.have.deep.members(
      ['access_token_ttl_seconds', 'sign_in_notices', 'of_another_version'].map((reason) => ({
        event: 'settings.ignored',
        reason,
      })),
    )

    await settings.change({ access_token_ttl_seconds: null, sign_in_notices: false }, ada)
    expect(await knex('settings').pluck('name')).to.have.members([
      'of_another_version',
      'refresh_grace_seconds',
      'sign_in_notices',
    ])
  })

  it('cannot be read or changed while PostgreSQL is away, and hold for nobody before they were read once', async () => {
    const away = connectPostgres('postgres://nobody@127.0.0.1:1/none')
    const { settings: startValues } = readConfig({ DATABASE_URL: database.url, REDIS_URL: 'redis://127.0.0.1' })
    const settings = createSettings({ knex: away, startValues, clock, log: () => undefined, record: noteDown })

    const codes = await Promise.all(
      [settings.reread(), settings.list(), settings.change({ refresh_grace_seconds: 7 }, ada)].map((promise) =>
        promise.catch((error: AppError) => error.code),
      ),
    )

    expect(codes).to.deep.equal(['unavailable', 'unavailable', 'unavailable'])
    expect(() => settings.current())
      .to.throw(AppError)
      .with.property('code', 'unavailable')
    await away.destroy()
  })
})
