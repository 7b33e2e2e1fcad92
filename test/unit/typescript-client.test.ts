import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import { committedFile, operations } from '../support/api-description.ts'

const types = fs.readFileSync(path.resolve(import.meta.dirname, '../../examples/typescript-client/api.ts'), 'utf8')

describe('the types of the client for TypeScript', () => {
  it('are those of the description of the API; `npm run client:types` writes them anew', () => {
    const digest = createHash('sha256').update(fs.readFileSync(committedFile)).digest('hex')

    expect(/^\/\/ SHA-256 of test\/openapi\.json: (\w+)$/m.exec(types)?.[1]).to.equal(digest)
  })

  it('have every operation', () => {
    const missing = operations
      .map(({ operation }) => operation.operationId as string)
      .filter((name) => !types.includes(`operations["${name}"]`))

    expect(missing).to.deep.equal([])
  })
})
