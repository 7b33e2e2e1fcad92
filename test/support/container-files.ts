import fs from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'

/** The Dockerfile and compose.yaml as data, as far as the tests ask. */

const root = path.resolve(import.meta.dirname, '../..')

export interface Instruction {
  name: string
  /** All that follows the name, on one line. */
  text: string
}

export interface Stage {
  /** An image, or the name of a stage before. */
  from: string
  name: string
  instructions: Instruction[]
}

export function readDockerfile(): Stage[] {
  const lines = fs
    .readFileSync(path.join(root, 'Dockerfile'), 'utf8')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
  const stages: Stage[] = []
  for (const line of lines) {
    const [, name, text] = /^([A-Z]+) +(.+)$/.exec(line)!
    if (name === 'FROM') {
      const [, from, as = ''] = /^(\S+)(?: AS (\S+))?$/.exec(text!)!
      stages.push({ from: from!, name: as, instructions: [] })
    } else stages.at(-1)!.instructions.push({ name: name!, text: text!.trim() })
  }
  return stages
}

/** What a COPY copies: `from` is another stage, null the folder of the project. */
export function copied({ text }: Instruction): { from: string | null; sources: string[]; target: string } {
  const words = text.split(/ +/)
  const [, from = null] = /^--from=(\S+)$/.exec(words[0]!) ?? []
  const [sources, target] = [words.slice(from === null ? 0 : 1, -1), words.at(-1)!]
  return { from, sources, target }
}

/** The words of an instruction in exec form, as CMD and HEALTHCHECK have them. */
export function wordsOf({ text }: Instruction): string[] {
  return JSON.parse(text.slice(text.indexOf('['))) as string[]
}

export interface ComposeService {
  image: string
  build?: string
  user?: string
  ports?: string[]
  command?: string[]
  environment?: Record<string, string>
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[] }
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
  volumes?: string[]
  tmpfs?: string[]
}

export interface Compose {
  services: Record<string, ComposeService>
  volumes: Record<string, unknown>
}

/** compose.yaml as it is written, or with the variables of an environment put in, as Compose does. */
export function readCompose(env?: Record<string, string>): Compose {
  const text = fs.readFileSync(path.join(root, 'compose.yaml'), 'utf8')
  return parse(text, {
    merge: true,
    reviver: (_key: unknown, value: unknown) => (typeof value === 'string' && env ? interpolate(value, env) : value),
  }) as Compose
}

/** @throws Error when a variable that must be set is not, or is used without saying what holds then */
function interpolate(text: string, env: Record<string, string>): string {
  return text.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_whole, name: string, kind?: string, rest?: string) => {
    const value = env[name]
    if (value) return value
    if (kind === '-') return rest!
    throw new Error(kind === '?' ? `${name} ${rest}` : `${name} has neither a default nor a complaint`)
  })
}
