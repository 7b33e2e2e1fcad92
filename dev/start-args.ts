import fs from 'node:fs'
import path from 'node:path'
import { root } from './places.ts'

const { scripts } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  scripts: Record<'start:prod', string>
}

/** What `npm run start:prod` gives to Node.js, as the image does: flags, and then the program. */
export const startArgs = scripts['start:prod'].split(' ').slice(2)

export const startFlags = startArgs.slice(0, -1)
