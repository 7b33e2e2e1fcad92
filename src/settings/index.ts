import { AppError, type Fault } from '../errors.ts'
import { announce } from '../platform/bulletin.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import { fromPostgres, type Knex } from '../platform/postgres.ts'
import {
  demandOf,
  isSettingName,
  isValueOf,
  settingDefinitions,
  settingNames,
  type SettingName,
  type Settings,
  type SettingValue,
} from './definitions.ts'
import { isLifeName, lapsedTo, lifeNames, nothingLapsed, type Lapsed, type LifeName } from './lives.ts'

export {
  demandOf,
  isSettingName,
  settingDefinitions,
  settingNames,
  type SettingName,
  type Settings,
  type SettingValue,
} from './definitions.ts'
export { type Lapsed } from './lives.ts'

/** A setting with what holds now, and what is to be known for changing it. */
export interface SettingRecord {
  name: SettingName
  type: 'integer' | 'boolean'
  /** What holds. */
  value: SettingValue
  /** What holds where nothing was stored: the default, or what the environment says. */
  startValue: SettingValue
  /** Both included; null for a boolean. */
  bounds: { min: number; max: number } | null
  meaning: string
  /** null: the start value holds. */
  changedAt: Date | null
  /** The account of who changed it; null for an operator at the command line, too. */
  changedBy: string | null
}

/** What became of one setting. null stands for the start value. */
export interface SettingChange {
  name: SettingName
  from: SettingValue | null
  to: SettingValue | null
}

interface SettingRow {
  name: string
  value: unknown
  changed_at: Date
  changed_by: string | null
}

/** Of a setting that is a life. */
interface LifeRow {
  name: LifeName
  /** What holds where nothing was stored, as the service that started last has it. */
  start_seconds: number
  lapsed_to: Date
}

/** What is stored of one setting; all of a table is null where that has no row. */
type Row = { name: string } & (Omit<SettingRow, 'name'> | Record<keyof Omit<SettingRow, 'name'>, null>) &
  (Omit<LifeRow, 'name'> | Record<keyof Omit<LifeRow, 'name'>, null>)

type UsableRow = Row & { name: SettingName; value: SettingValue; changed_at: Date }

/**
 * The settings: start values from the environment, and what was changed while the service runs, in PostgreSQL.
 *
 * Each process keeps a copy, so that asking costs nothing; the bulletin has it read again when somebody changes one.
 *
 * A life that is changed leaves behind up to when the one before had ended things, in the transaction of the change; so
 * what has lapsed once stays dead under any later life.
 *
 * @param startValues what holds for a setting that was never changed
 * @param record writes a change down in its transaction, with who made it
 */
export function createSettings<By extends { id: string | null }>({
  knex,
  startValues,
  clock,
  log,
  record,
}: {
  knex: Knex
  startValues: Settings
  clock: Clock
  log: Log
  record: (trx: Knex, change: SettingChange, by: By) => Promise<void>
}) {
  /** null until they were read: a start value may let in whom a stored one keeps out. */
  let inForce: { settings: Settings; lapsed: Lapsed } | null = null
  let readingsBegun = 0
  let newestShown = 0
  let ignored = new Set<string>()

  /**
   * Reads what is stored, and keeps it as what holds now, unless a reading that began later was faster.
   *
   * @throws AppError `unavailable` when PostgreSQL does not answer
   */
  async function read(): Promise<Map<SettingName, UsableRow>> {
    const reading = ++readingsBegun
    const rows = await fromPostgres(storedRows(knex))
    const usable = usableRows(rows)
    if (reading > newestShown) {
      newestShown = reading
      inForce = {
        settings: { ...startValues, ...Object.fromEntries([...usable].map(([name, { value }]) => [name, value])) },
        lapsed: { ...nothingLapsed, ...Object.fromEntries(rows.map((row) => [row.name, lapsedOf(row)])) },
      }
      tellIgnored(rows.filter(({ name, changed_at }) => changed_at && !usable.has(name as SettingName)))
    }
    return usable
  }

  /** Logs each stored value that is not used, once. */
  function tellIgnored(rows: Row[]): void {
    const known = ignored
    ignored = new Set(rows.map(({ name, value }) => JSON.stringify([name, value])))
    for (const { name, value } of rows)
      if (!known.has(JSON.stringify([name, value]))) log('settings.ignored', { reason: name })
  }

  /**
   * What holds now, as far as this process knows. Asks nobody; to be asked anew for each use.
   *
   * @throws AppError `unavailable` before they were read once
   */
  function current(): Settings {
    return inHand().settings
  }

  /**
   * What the lives of before have ended for good; read together with {@link current}, so the two always agree.
   *
   * @throws AppError `unavailable` before they were read once
   */
  function lapsed(): Lapsed {
    return inHand().lapsed
  }

  function inHand(): { settings: Settings; lapsed: Lapsed } {
    if (!inForce) throw new AppError('unavailable')
    return inForce
  }

  /** Reads the settings anew, when somebody has changed one. @throws AppError `unavailable` */
  async function reread(): Promise<void> {
    await read()
  }

  /** Every setting, as PostgreSQL has it now. @throws AppError `unavailable` */
  async function list(): Promise<SettingRecord[]> {
    const stored = await read()
    return settingNames.map((name) => {
      const definition = settingDefinitions[name]
      const row = stored.get(name)
      return {
        name,
        type: definition.type,
        value: row?.value ?? startValues[name],
        startValue: startValues[name],
        bounds: definition.type === 'integer' ? { min: definition.min, max: definition.max } : null,
        meaning: definition.meaning,
        changedAt: row?.changed_at ?? null,
        changedBy: row?.changed_by ?? null,
      }
    })
  }

  /**
   * Changes settings, all that are named or none, and returns them all as they are then.
   *
   * One change waits for another, so that each records what it has really replaced. This process goes by the new values
   * when it returns, every other one within a second. What is so already is neither written nor recorded.
   *
   * @param changes by name; null goes back to the start value
   * @throws AppError `validation-failed` with a fault for each name that is none and each value that is not of the type
   *   or out of bounds; `unavailable` when PostgreSQL does not answer, and then repeating it is harmless
   */
  async function change(changes: Readonly<Record<string, unknown>>, by: By): Promise<SettingRecord[]> {
    const asked = checked(changes)
    await fromPostgres(
      knex.transaction(async (trx) => {
        const rows = await lockedRows(trx)
        const before = usableRows(rows)
        let isChanged = false
        for (const [name, to] of asked) {
          const row = rows.find((stored) => stored.name === name)
          const from = before.get(name)?.value ?? null
          const isSo = to === null ? !row?.changed_at : from === to
          if (isSo) continue
          await write(trx, name, to, by.id)
          if (isLifeName(name)) {
            const startSeconds = row?.start_seconds ?? startValues[name]
            await keepLapsed(trx, name, row, { startSeconds, until: (from as number | null) ?? startSeconds })
          }
          await record(trx, { name, from, to }, by)
          isChanged = true
        }
        if (isChanged) await announce(trx, 'settings')
      }),
    )
    return list()
  }

  async function write(trx: Knex, name: SettingName, value: SettingValue | null, changedBy: string | null) {
    const table = trx<SettingRow>('settings')
    if (value === null) await table.where({ name }).delete()
    else
      await table
        .insert({ name, value: JSON.stringify(value), changed_at: new Date(clock.now()), changed_by: changedBy })
        .onConflict('name')
        .merge()
  }

  /**
   * Notes with what start values this service begins, before it goes by them.
   *
   * A start value that is another than the last time is a change of a life as well, unless a stored one holds.
   *
   * @throws AppError `unavailable` when PostgreSQL does not answer
   */
  async function noteStartValues(): Promise<void> {
    await fromPostgres(
      knex.transaction(async (trx) => {
        const rows = await lockedRows(trx)
        const stored = usableRows(rows)
        const changed = lifeNames.filter(
          (name) => rows.find((row) => row.name === name)?.start_seconds !== startValues[name],
        )
        for (const name of changed) {
          const row = rows.find((one) => one.name === name)
          const until = stored.has(name) ? null : (row?.start_seconds ?? null)
          await keepLapsed(trx, name, row, { startSeconds: startValues[name], until })
        }
        if (changed.length > 0) await announce(trx, 'settings')
      }),
    )
  }

  /** Keeps what a life has ended that held until now; null: it still holds, or none has held. */
  async function keepLapsed(
    trx: Knex,
    name: LifeName,
    row: Row | undefined,
    { startSeconds, until }: { startSeconds: number; until: number | null },
  ): Promise<void> {
    const before = row ? lapsedOf(row) : 0
    const lapsed_to = new Date(until === null ? before : lapsedTo(before, until, clock.now()))
    await trx<LifeRow>('lives').insert({ name, start_seconds: startSeconds, lapsed_to }).onConflict('name').merge()
  }

  return { current, lapsed, reread, list, change, noteStartValues }
}

/** All that is stored, of one instant. */
async function storedRows(knex: Knex): Promise<Row[]> {
  const { rows } = await knex.raw<{ rows: Row[] }>('select * from settings full join lives using (name)')
  return rows
}

/** Makes changes take turns: each finds what the one before has left, also where there was no row yet. */
async function lockedRows(trx: Knex): Promise<Row[]> {
  await trx.raw('lock table settings in share row exclusive mode')
  return storedRows(trx)
}

const lapsedOf = (row: Row) => row.lapsed_to?.getTime() ?? 0

/** The rows that this version can use, by the name of their setting. */
function usableRows(rows: Row[]): Map<SettingName, UsableRow> {
  const isUsable = (row: Row): row is UsableRow => isSettingName(row.name) && isValueOf(row.name, row.value)
  return new Map(rows.filter(isUsable).map((row) => [row.name, row]))
}

/** @throws AppError `validation-failed`, with all that is wrong */
function checked(changes: Readonly<Record<string, unknown>>): [SettingName, SettingValue | null][] {
  const asked: [SettingName, SettingValue | null][] = []
  const faults: Fault[] = []
  for (const [name, value] of Object.entries(changes))
    if (!isSettingName(name)) faults.push({ member: name, detail: 'is no setting' })
    else if (value === null || isValueOf(name, value)) asked.push([name, value])
    else faults.push({ member: name, detail: demandOf(name) })
  if (faults.length > 0) throw new AppError('validation-failed', { faults })
  return asked
}
