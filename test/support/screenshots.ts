import fs from 'node:fs'
import path from 'node:path'
import pixelmatch from 'pixelmatch'
import { PNG } from 'pngjs'
import { dataDir, root } from '../../dev/places.ts'

const references = path.join(root, 'test/browser/screenshots')
/** Where the pictures of a difference are left; not committed. */
const leftovers = path.join(dataDir, 'screenshots')
const renewing = process.env['RENEW_SCREENSHOTS'] === 'true'

/** How far a colour may be off, from 0 to 1. Another version of Chromium smooths letters in another way. */
const colourTolerance = 0.05
/** How much of the picture may be off all the same. */
const pixelsOffMaxRatio = 0.002

/**
 * Compares a picture with the committed one of that name, or commits it anew with RENEW_SCREENSHOTS=true.
 *
 * @throws when it differs, with the places of what was expected, what came and the difference
 */
export function expectSameAsBefore(name: string, picture: Buffer): void {
  const reference = path.join(references, `${name}.png`)
  if (renewing) {
    fs.mkdirSync(references, { recursive: true })
    return fs.writeFileSync(reference, picture)
  }
  if (!fs.existsSync(reference)) throw new Error(`There is no ${place(reference)}: run npm run screenshots.`)
  const [expected, actual] = [PNG.sync.read(fs.readFileSync(reference)), PNG.sync.read(picture)]
  const kept = (what: string, content: Buffer) => {
    const file = path.join(leftovers, `${name}.${what}.png`)
    fs.mkdirSync(leftovers, { recursive: true })
    fs.writeFileSync(file, content)
    return place(file)
  }
  const says = (what: string) => `${name} does not look as it did (${place(reference)}): ${what}`
  const { width, height } = expected
  if (actual.width !== width || actual.height !== height)
    throw new Error(
      says(`${actual.width} × ${actual.height} pixels, not ${width} × ${height}; see ${kept('actual', picture)}`),
    )
  const difference = new PNG({ width, height })
  const off = pixelmatch(expected.data, actual.data, difference.data, width, height, { threshold: colourTolerance })
  if (off > width * height * pixelsOffMaxRatio)
    throw new Error(
      says(`${off} pixels differ; see ${kept('actual', picture)} and ${kept('diff', PNG.sync.write(difference))}`),
    )
}

const place = (file: string) => path.relative(root, file)
