import os from 'node:os'
import { leaveReached } from './api-description.ts'
import { printFigures } from './faults.ts'
import { closeServices } from './service.ts'
import { closeStores, openStores } from './stores.ts'

/** A signal by itself would end this process without its `exit`, and servers of the run would stay (`endWithUs`). */
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => process.exit(128 + os.constants.signals[name]))

/** A fresh machine may have to fetch Redis first. */
const provisioningMs = 300_000

export const mochaHooks = {
  async beforeAll(this: Mocha.Context) {
    this.timeout(provisioningMs)
    await openStores()
  },
  async afterAll(this: Mocha.Context) {
    this.timeout(30_000)
    await closeServices()
    await closeStores()
    printFigures()
    leaveReached()
  },
}
