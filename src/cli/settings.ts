import { AppError } from '../errors.ts'
import type { Services } from '../services.ts'
import type { SettingRecord } from '../settings/index.ts'
import { operator } from './operator.ts'
import { printTable } from './table.ts'

type Settings = Services['settings']

/** `settings list`: all of them, with what holds now. */
export async function listSettings(settings: Settings, { json }: { json?: boolean }): Promise<number> {
  const all = await settings.list()
  if (json) for (const setting of all) console.log(JSON.stringify(asJson(setting)))
  else printTable(['NAME', 'VALUE', 'START VALUE', 'TAKES', 'CHANGED', 'MEANING'], all.map(asRow))
  return 0
}

/** `settings get`: the value alone, for scripts. */
export async function getSetting(settings: Settings, name: string, { json }: { json?: boolean }): Promise<number> {
  const setting = (await settings.list()).find((one) => one.name === name)
  if (!setting) throw new AppError('validation-failed', { faults: [{ member: name, detail: 'is no setting' }] })
  console.log(json ? JSON.stringify(asJson(setting)) : String(setting.value))
  return 0
}

/** `settings set`; and, with no text, `settings unset`. */
export async function changeSetting(settings: Settings, name: string, text: string | null): Promise<number> {
  const all = await settings.change({ [name]: text === null ? null : valueOf(text) }, operator)
  const { value } = all.find((setting) => setting.name === name)!
  console.log(`${name} is ${value} now.`)
  return 0
}

/** The value that a word on the command line stands for; what stands for none is left to be refused. */
function valueOf(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d+$/.test(text) ? Number(text) : text
}

function asRow({ name, type, value, startValue, bounds, meaning, changedAt }: SettingRecord): string[] {
  const takes = bounds ? `${bounds.min} to ${bounds.max}` : type
  return [name, String(value), String(startValue), takes, changedAt?.toISOString() ?? '', meaning]
}

function asJson({ name, type, value, startValue, bounds, meaning, changedAt, changedBy }: SettingRecord) {
  return {
    name,
    type,
    value,
    start_value: startValue,
    bounds,
    meaning,
    changed_at: changedAt?.toISOString() ?? null,
    changed_by: changedBy,
  }
}
