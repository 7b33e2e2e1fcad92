import type { Command } from 'commander'
import { AppError } from '../errors.ts'
import type { Services } from '../services.ts'
import type { SettingRecord } from '../settings/index.ts'
import { examples, type Context } from './context.ts'
import { operator } from './operator.ts'
import { printTable } from './table.ts'

type Settings = Services['settings']

export function addSettingCommands(program: Command, { withServices }: Context): void {
  const settings = program.command('settings').description('what may be changed while the service runs')

  settings
    .command('list')
    .description('list all settings: what holds now, what held at the start, and what may be')
    .option('--json', 'one JSON object a line')
    .addHelpText('after', examples(['settings list', 'with bounds and meaning']))
    .action((options: Parameters<typeof listSettings>[1]) =>
      withServices((services) => listSettings(services.settings, options)),
    )

  settings
    .command('get')
    .description('print what holds now')
    .argument('<name>', 'as settings list shows it')
    .option('--json', 'with its bounds and meaning, and who changed it when')
    .addHelpText('after', examples(['settings get access_token_ttl_seconds', 'the value alone']))
    .action((name: string, options: Parameters<typeof getSetting>[2]) =>
      withServices((services) => getSetting(services.settings, name, options)),
    )

  settings
    .command('set')
    .description('change a setting, on every instance within a second')
    .argument('<name>', 'as settings list shows it')
    .argument('<value>', 'a whole number, true or false')
    .addHelpText(
      'after',
      examples(
        ['settings set access_token_ttl_seconds 300', 'for open sessions as well'],
        ['settings set sign_in_notices false', 'no mails of new devices'],
      ),
    )
    .action((name: string, value: string) => withServices((services) => changeSetting(services.settings, name, value)))

  settings
    .command('unset')
    .description('go back to the start value')
    .argument('<name>', 'as settings list shows it')
    .addHelpText('after', examples(['settings unset access_token_ttl_seconds', 'what the environment says']))
    .action((name: string) => withServices((services) => changeSetting(services.settings, name, null)))
}

/** `settings list`: all of them, with what holds now. */
async function listSettings(settings: Settings, { json }: { json?: boolean }): Promise<number> {
  const all = await settings.list()
  if (json) for (const setting of all) console.log(JSON.stringify(asJson(setting)))
  else printTable(['NAME', 'VALUE', 'START VALUE', 'TAKES', 'CHANGED', 'MEANING'], all.map(asRow))
  return 0
}

/** `settings get`: the value alone, for scripts. */
async function getSetting(settings: Settings, name: string, { json }: { json?: boolean }): Promise<number> {
  const setting = (await settings.list()).find((one) => one.name === name)
  if (!setting) throw new AppError('validation-failed', { faults: [{ member: name, detail: 'is no setting' }] })
  console.log(json ? JSON.stringify(asJson(setting)) : String(setting.value))
  return 0
}

/** `settings set`; and, with no text, `settings unset`. */
async function changeSetting(settings: Settings, name: string, text: string | null): Promise<number> {
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
