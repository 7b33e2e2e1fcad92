import fs from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import { lanesOf, readSeconds, testFiles } from '../../dev/lanes.ts'

const root = path.resolve(import.meta.dirname, '../..')

describe('the lanes of npm test', () => {
  it('have every test file of the project, each in exactly one', () => {
    const found: string[] = []
    const walk = (folder: string) => {
      for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
        const place = path.join(folder, entry.name)
        if (entry.isDirectory()) walk(place)
        else if (/\.test\.[cm]?[jt]s$/.test(entry.name)) found.push(place)
      }
    }
    walk('test')

    expect(found).to.include('test/unit/lanes.test.ts')
    expect(lanesOf(testFiles(), readSeconds(), 2).flat()).to.have.members(found)
  })

  it('lose no file and double none, whatever is known of how long they take', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.nat(1000)),
        fc.array(fc.string()),
        fc.integer({ min: 1, max: 4 }),
        (seconds, more, count) => {
          const files = [...new Set([...Object.keys(seconds), ...more])]
          const lanes = lanesOf(files, seconds, count)
          expect(lanes).to.have.length(count)
          expect(lanes.flat()).to.have.members(files)
        },
      ),
    )
  })

  it('take about as long as each other', () => {
    const seconds = readSeconds()
    const [one, two] = lanesOf(testFiles(), seconds, 2).map((files) =>
      files.reduce((sum, file) => sum + (seconds[file] ?? 10), 0),
    )
    expect(Math.abs(one! - two!) / (one! + two!)).to.be.lessThan(0.05)
  })

  it('go by times of files that are there', () => {
    expect(Object.keys(readSeconds()).filter((file) => !testFiles().includes(file))).to.deep.equal([])
  })
})
