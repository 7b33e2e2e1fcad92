/** What mocha prints in a lane of `npm test`: its usual lines, and to whoever runs the lane how long each file took. */
import { createRequire } from 'node:module'

const { Runner, reporters } = createRequire(import.meta.url)('mocha')
const { EVENT_SUITE_BEGIN, EVENT_SUITE_END } = Runner.constants

export default class LaneReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const startedAt = new Map()
    const isWhole = (suite) => suite.parent?.root === true
    runner.on(EVENT_SUITE_BEGIN, (suite) => {
      if (isWhole(suite)) startedAt.set(suite, performance.now())
    })
    runner.on(EVENT_SUITE_END, (suite) => {
      if (isWhole(suite)) process.send?.({ file: suite.file, ms: performance.now() - startedAt.get(suite) })
    })
  }
}
