import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { MailCatcher } from '../../dev/mail.ts'

/**
 * Starts the mail catcher of `npm start` as a clone in this folder has it: it writes to the `.data/mail/` beside its own
 * sources, so it is given a copy of them there.
 */
export async function catchMailsIn(
  home: string,
  onMail: (line: string) => void = () => undefined,
): Promise<MailCatcher> {
  const root = path.resolve(import.meta.dirname, '../..')
  for (const place of ['package.json', 'dev/mail.ts', 'dev/places.ts'])
    fs.cpSync(path.join(root, place), path.join(home, place))
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(home, 'node_modules'))
  const source = pathToFileURL(path.join(home, 'dev/mail.ts')).href
  const { startMailCatcher } = (await import(source)) as typeof import('../../dev/mail.ts')
  return startMailCatcher({ onMail })
}
