import { leaveReached } from './api-description.ts'
import { printFigures } from './faults.ts'
import { closeServices } from './service.ts'
import { closeStores, openStores } from './stores.ts'

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
