import fs from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'

const root = path.resolve(import.meta.dirname, '../..')
const src = path.join(root, 'src')

/** The floors of the house, highest first (src/README.md). A room may use the rooms on lower floors, by their index. */
const floors = [
  ['main.ts'],
  ['process.ts', 'cli'],
  ['workers.ts'],
  ['serve.ts'],
  ['services.ts'],
  ['config.ts'],
  ['http'],
  ['accounts', 'clients'],
  ['sessions', 'throttle', 'mail', 'audit', 'settings', 'metrics'],
  ['platform'],
  ['errors.ts'],
]
/** On the ground every file is a door of its own. */
const withoutIndex = new Set(['platform'])
/** Outside src, and who may reach it. */
const outside: Record<string, string> = { 'migrations/index.ts': 'services.ts', 'package.json': 'services.ts' }

interface Import {
  from: string
  to: string
}

const files = (fs.readdirSync(src, { recursive: true }) as string[]).filter((name) => name.endsWith('.ts'))
const imports: Import[] = files.flatMap((from) => {
  const text = fs.readFileSync(path.join(src, from), 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, specifier]) => ({
    from,
    to: path.relative(src, path.resolve(src, path.dirname(from), specifier!)),
  }))
})
const roomOf = (file: string) => file.split(path.sep)[0]!
const floorOf = (room: string) => floors.findIndex((rooms) => rooms.includes(room))

describe('the house', () => {
  it('has a floor for every room, and a room for every floor', () => {
    const rooms = [...new Set(files.map(roomOf))]
    expect(rooms).to.have.members(floors.flat())
  })

  it('lets imports fall, and neighbours not know each other', () => {
    const climbing = imports
      .filter(({ to }) => !to.startsWith('..'))
      .filter(({ from, to }) => roomOf(from) !== roomOf(to) && floorOf(roomOf(from)) >= floorOf(roomOf(to)))
    expect(imports.length).to.be.greaterThan(50)
    expect(climbing).to.deep.equal([])
  })

  it('has rooms entered by their index only', () => {
    const windows = imports
      .filter(({ to }) => !to.startsWith('..') && to.includes(path.sep))
      .filter(({ from, to }) => roomOf(from) !== roomOf(to) && !withoutIndex.has(roomOf(to)))
      .filter(({ to }) => path.basename(to) !== 'index.ts')
    expect(windows).to.deep.equal([])
  })

  it('reaches out of src in two places only', () => {
    const out = imports
      .filter(({ to }) => to.startsWith('..'))
      .map(({ from, to }) => [path.relative(root, path.resolve(src, to)), from])
    expect(Object.fromEntries(out)).to.deep.equal(outside)
  })

  it('keeps each library to the room whose business it is', () => {
    const keepers: Record<string, RegExp> = {
      koa: /^http\//,
      '@koa/router': /^http\//,
      'koa-body': /^http\//,
      zod: /^(http\/|config\.ts)/,
      argon2: /^accounts\//,
      bcrypt: /^accounts\//,
      'rate-limiter-flexible': /^throttle\//,
      'prom-client': /^metrics\//,
      'proxy-addr': /^platform\//,
      ioredis: /^platform\//,
      knex: /^platform\//,
      pg: /^platform\//,
      pino: /^platform\//,
      'graphile-worker': /^platform\//,
      nodemailer: /^mail\//,
      commander: /^cli\//,
    }
    for (const file of files) {
      const text = fs.readFileSync(path.join(src, file), 'utf8')
      for (const [library, keeper] of Object.entries(keepers))
        if (new RegExp(`from '${library}'`).test(text)) expect(file, library).to.match(keeper)
    }
  })

  it('reads the environment in one place', () => {
    const readers = files.filter((file) => fs.readFileSync(path.join(src, file), 'utf8').includes('process.env'))
    expect(readers).to.have.members(['process.ts', path.join('cli', 'main.ts')])
  })
})
