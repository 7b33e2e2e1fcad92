import fs from 'node:fs'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect } from 'chai'
import { routes } from '../../src/http/index.ts'
import {
  committedFile,
  describedStatuses,
  description,
  faultsBy,
  operations,
  resolve,
} from '../support/api-description.ts'
import type { Json } from '../support/client.ts'

describe('the description of the API', () => {
  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator()

    const { valid, errors } = await validator.validate(structuredClone(description) as Record<string, unknown>)

    expect(errors).to.equal(undefined)
    expect(valid).to.equal(true)
    expect(validator.version).to.equal('3.1')
  })

  it('is the one that is committed; RENEW_OPENAPI=true writes it anew', () => {
    const text = `${JSON.stringify(description, null, 2)}\n`
    if (process.env['RENEW_OPENAPI'] === 'true') fs.writeFileSync(committedFile, text)

    expect(fs.readFileSync(committedFile, 'utf8')).to.equal(text)
  })

  it('has every route once, each under a name of its own', () => {
    const names = operations.map(({ operation }) => operation.operationId as string)

    expect(new Set(names).size).to.equal(routes.length)
    expect(names).to.have.length(routes.length)
    expect(
      names.every((name) => /^[a-z][A-Za-z]+$/.test(name)),
      names.join(),
    ).to.equal(true)
  })

  it('leads to what is there with every reference', () => {
    const references = [...JSON.stringify(description).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to!)

    expect(references.length).to.be.greaterThan(100)
    for (const $ref of new Set(references)) expect(resolve({ $ref }), $ref).to.be.an('object')
  })

  it('has a schema and an example for every body, and the example fits', () => {
    const bodies = operations.flatMap(({ operation }) => [
      ...Object.values((operation.requestBody?.content ?? {}) as Record<string, Json>),
      ...Object.values(operation.responses as Json[])
        .map(resolve)
        .flatMap(({ content }) => Object.values((content ?? {}) as Record<string, Json>)),
    ])

    expect(bodies.length).to.be.greaterThan(describedStatuses.length / 2)
    for (const { schema, example, examples = {} } of bodies) {
      const given =
        example === undefined ? Object.values(examples as Json[]).map((one) => resolve(one).value) : [example]
      expect(given, JSON.stringify(schema)).to.not.deep.equal([])
      for (const one of given) expect(faultsBy(schema, one), JSON.stringify(one)).to.equal(null)
    }
  })

  it('says how to authenticate wherever a 401 is possible', () => {
    for (const { path, operation } of operations)
      if (operation.security.length > 0) expect(operation.responses, path).to.have.property('401')
  })
})
