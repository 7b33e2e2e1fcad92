import { execFile } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { root } from '../../dev/places.ts'
import { digestOfSources, noteSources } from '../../dev/sources.mjs'
import { temporaryDir } from '../../dev/stores.ts'

const run = promisify(execFile)
const { latchkey: script } = (
  JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as { scripts: Record<'latchkey', string> }
).scripts

describe('npm run latchkey', () => {
  let project: string

  beforeEach(() => {
    project = temporaryDir('latchkey')
    write('package.json', JSON.stringify({ type: 'module', scripts: { latchkey: script } }))
    write('package-lock.json', '{}')
    write('migrations/0001.ts', '')
    write('src/said.ts', "export const said: string = 'the sources'")
    write('src/cli/main.ts', "import { said } from '../said.ts'; console.log(said, process.argv.slice(2).join())")
    write('dist/src/cli/main.js', "console.log('the build', process.argv.slice(2).join())")
    for (const name of ['latchkey.mjs', 'sources.mjs'])
      fs.cpSync(path.join(root, 'dev', name), path.join(project, 'dev', name))
    fs.symlinkSync(path.join(root, 'node_modules'), path.join(project, 'node_modules'))
    noteSources(path.join(project, 'dist'), digestOfSources(project))
  })
  afterEach(() => fs.rmSync(project, { recursive: true }))

  it('is the build where that is of these sources', async () => {
    expect(await latchkey()).to.equal('the build users,list,--json')
  })

  it('is the sources once one of them is another, more or gone, and the build again when they are as they were', async () => {
    const changes = {
      another: () => write('src/said.ts', "export const said = 'the sources'  "),
      more: () => write('src/deep/down/more.ts', ''),
      gone: () => fs.rmSync(path.join(project, 'migrations/0001.ts')),
      renamed: () => fs.renameSync(path.join(project, 'migrations/0001.ts'), path.join(project, 'migrations/0002.ts')),
      packages: () => write('package-lock.json', '{ }'),
    }
    const kept = `${project}-kept`
    for (const [name, change] of Object.entries(changes)) {
      fs.cpSync(project, kept, { recursive: true, verbatimSymlinks: true })
      change()
      expect(await latchkey(), name).to.equal('the sources users,list,--json')
      fs.rmSync(project, { recursive: true })
      fs.renameSync(kept, project)
    }
    expect(await latchkey()).to.equal('the build users,list,--json')
  })

  it('is the sources where no build was finished', async () => {
    fs.rmSync(path.join(project, 'dist/sources.sha256'))
    expect(await latchkey()).to.equal('the sources users,list,--json')
    fs.rmSync(path.join(project, 'dist'), { recursive: true })
    expect(await latchkey()).to.equal('the sources users,list,--json')
  })

  async function latchkey(): Promise<string> {
    const { stdout } = await run('npm', ['run', '-s', 'latchkey', '--', 'users', 'list', '--json'], { cwd: project })
    return stdout.trim()
  }

  function write(name: string, text: string): void {
    const file = path.join(project, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, text)
  }
})
