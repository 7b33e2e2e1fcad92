import { execFile } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { root } from '../../dev/places.ts'
import { digestOfSources, forgetBuild, isBuildCurrent, noteBuild } from '../../dev/sources.mjs'
import { temporaryDir } from '../../dev/stores.ts'

const run = promisify(execFile)
const { latchkey: script } = (
  JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as { scripts: Record<'latchkey', string> }
).scripts
const said = "export const said: string = 'the sources'"
const manifest = (version: string) => JSON.stringify({ version, type: 'module', scripts: { latchkey: script } })

describe('npm run latchkey', () => {
  let project: string

  beforeEach(() => {
    project = temporaryDir('latchkey')
    writeSources()
    write('dist/src/cli/main.js', "console.log('the build', process.argv.slice(2).join())")
    for (const name of ['latchkey.mjs', 'sources.mjs'])
      fs.cpSync(path.join(root, 'dev', name), path.join(project, 'dev', name))
    fs.symlinkSync(path.join(root, 'node_modules'), path.join(project, 'node_modules'))
    noteBuild(project, digestOfSources(project))
  })
  afterEach(() => fs.rmSync(project, { recursive: true }))

  it('is the build while that is of these sources, else the sources', async () => {
    expect(await latchkey()).to.equal('the build users,list,--json')
    write('src/more.ts', '')
    expect(await latchkey()).to.equal('the sources users,list,--json')
    fs.rmSync(path.join(project, 'dist'), { recursive: true })
    expect(await latchkey()).to.equal('the sources users,list,--json')
  })

  it('takes a build for an old one once a source is another, more or gone, until they are as they were', () => {
    const changes = {
      another: () => write('src/said.ts', 'export const said: string = `the sources`'),
      'another migration': () => write('migrations/0001.ts', '// 2'),
      more: () => write('src/deep/down/more.ts', ''),
      gone: () => fs.rmSync(path.join(project, 'migrations/0001.ts')),
      renamed: () => fs.renameSync(path.join(project, 'migrations/0001.ts'), path.join(project, 'migrations/0002.ts')),
      'bundled otherwise': () => write('dev/bundle.ts', '// 2'),
      'other packages': () => write('package-lock.json', '[]'),
      'another version': () => write('package.json', manifest('0.2.0')),
    }
    for (const [name, change] of Object.entries(changes)) {
      expect(isBuildCurrent(project)).to.equal(true)
      change()
      expect(isBuildCurrent(project), name).to.equal(false)
      fs.rmSync(path.join(project, 'src/deep'), { recursive: true, force: true })
      fs.rmSync(path.join(project, 'migrations/0002.ts'), { force: true })
      writeSources()
    }
  })

  it('is not concerned with what an editor leaves beside the sources', () => {
    fs.symlinkSync('nobody@nowhere.1', path.join(project, 'src/.#said.ts'))
    fs.symlinkSync('nobody@nowhere.1', path.join(project, 'src/said.lock.ts'))
    write('src/.said.ts', '')
    write('src/.said.ts.swp', '')
    write('src/README.md', 'More about it.')
    expect(isBuildCurrent(project)).to.equal(true)
  })

  it('takes no build for a current one that was cut short, or during which the sources were changed', () => {
    const digest = digestOfSources(project)
    forgetBuild(project)
    expect(isBuildCurrent(project)).to.equal(false)

    write('src/said.ts', 'export const said: string = `the sources`')
    noteBuild(project, digest)
    writeSources()
    expect(isBuildCurrent(project)).to.equal(false)
    noteBuild(project, digest)
    expect(isBuildCurrent(project)).to.equal(true)
  })

  async function latchkey(): Promise<string> {
    const { stdout } = await run('npm', ['run', '-s', 'latchkey', '--', 'users', 'list', '--json'], { cwd: project })
    return stdout.trim()
  }

  function writeSources(): void {
    write('package.json', manifest('0.1.0'))
    write('package-lock.json', '{}')
    write('tsconfig.json', '{}')
    write('migrations/0001.ts', '// 1')
    write('dev/bundle.ts', '// 1')
    write('src/said.ts', said)
    write('src/cli/main.ts', "import { said } from '../said.ts'; console.log(said, process.argv.slice(2).join())")
  }

  function write(name: string, text: string): void {
    const file = path.join(project, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, text)
  }
})
