/** What mocha prints in a lane of `npm test`: its usual lines, and into a file, for whoever runs it, what each file took. */
import fs from 'node:fs'
import { createRequire } from 'node:module'

const { Runner, reporters } = createRequire(import.meta.url)('mocha')
const { EVENT_SUITE_BEGIN, EVENT_SUITE_END } = Runner.constants

export default class LaneReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    let startedAt
    const isWhole = (suite) => suite.parent?.root === true
    runner.on(EVENT_SUITE_BEGIN, (suite) => {
      if (isWhole(suite)) startedAt = performance.now()
    })
    runner.on(EVENT_SUITE_END, (suite) => {
      const seconds = (performance.now() - startedAt) / 1000
      if (isWhole(suite)) fs.appendFileSync(options.reporterOptions.file, `${JSON.stringify([suite.file, seconds])}\n`)
    })
  }
}
