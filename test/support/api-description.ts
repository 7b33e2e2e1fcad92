import fs from 'node:fs'
import path from 'node:path'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { expect } from 'chai'
import packageJson from '../../package.json' with { type: 'json' }
import { describeApi, namedRoutes } from '../../src/http/index.ts'
import type { Answer, Json } from './client.ts'

/** The description as it is committed: a difference in it is a change of the API. */
export const committedFile = path.join(import.meta.dirname, '../openapi.json')

const { version } = packageJson
/** What the sources say of the API. */
export const description: Json = describeApi(namedRoutes(), { version, publicUrl: 'http://127.0.0.1:3000' })

const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
ajv.addSchema(description, 'openapi.json')
const compiled = new Map<string, ValidateFunction>()

/** Follows a reference within the description. */
export function resolve(of: Json): Json {
  const reference = of?.$ref as string | undefined
  if (reference === undefined) return of
  return resolve(
    reference
      .slice('#/'.length)
      .split('/')
      .reduce((at, name) => at[name], description),
  )
}

/** What is wrong with a value by a schema of the description; null for nothing. */
export function faultsBy(schema: Json, value: unknown): string | null {
  const key = JSON.stringify(schema)
  let validate = compiled.get(key)
  if (!validate) {
    validate = ajv.compile(JSON.parse(key.replaceAll('"#/', '"openapi.json#/')) as object)
    compiled.set(key, validate)
  }
  return validate(value) ? null : ajv.errorsText(validate.errors)
}

interface Operation {
  method: string
  path: string
  operation: Json
}

/** Every operation of the description. A path without parameters comes before those that it matches as well. */
export const operations: Operation[] = Object.entries(description.paths as Record<string, Json>)
  .toSorted(([a], [b]) => Number(a.includes('{')) - Number(b.includes('{')))
  .flatMap(([template, methods]) =>
    Object.entries(methods as Record<string, Json>).map(([method, operation]) => ({
      method,
      path: template,
      operation,
    })),
  )

const isForAllMethods = (template: string) => template.startsWith('/forward-auth')

function operationAt(method: string, asked: string): Operation | undefined {
  const pathname = asked.split('?')[0]!
  return operations.find(({ method: declared, path: template }) => {
    const pattern = template.replaceAll(/\{\w+\}/g, template.startsWith('/forward-auth/') ? '.*' : '[^/]+')
    return (declared === method.toLowerCase() || isForAllMethods(template)) && new RegExp(`^${pattern}$`).test(pathname)
  })
}

const reached = new Set<string>()

/** Headers that node, the connection and a proxy in between make, beside those of the API. */
const ofTheTransport = new Set(['connection', 'content-length', 'content-type', 'date', 'keep-alive', 'server'])
const ofEveryAnswer = new Set(['x-request-id', 'cache-control', 'x-content-type-options'])

/** Holds an answer against the description: its status, its headers, its media type and its body must be in it. */
export function mustBeDescribed(method: string, asked: string, answer: Answer): void {
  const found = operationAt(method, asked)
  if (!found) return
  const { path: template, operation } = found
  const name = `${method} ${template} ${answer.status}`
  const declared = operation.responses[answer.status]
  if (answer.status === 405 && isForAllMethods(template)) return
  expect(declared, `${name} is described`).to.not.equal(undefined)
  const { content, headers } = resolve(declared)
  const known = new Set(Object.keys((headers ?? {}) as object).map((header) => header.toLowerCase()))
  const strange = [...answer.headers.keys()].filter(
    (header) => !known.has(header) && !ofTheTransport.has(header) && !ofEveryAnswer.has(header),
  )
  expect(strange, `headers of ${name} that are not described`).to.deep.equal([])
  if (content === undefined) expect(answer.text, `the body of ${name}`).to.equal('')
  else {
    const type = answer.headers.get('content-type')?.split(';')[0] ?? 'none'
    expect(Object.keys(content as object), `the media types of ${name}`).to.include(type)
    expect(faultsBy(content[type].schema, answer.body), `the body of ${name}`).to.equal(null)
  }
  reached.add(`${found.method.toUpperCase()} ${template} ${answer.status}`)
}

/** Every status that is described, as {@link mustBeDescribed} notes those that were answered. */
export const describedStatuses: string[] = operations.flatMap(({ method, path: template, operation }) =>
  Object.keys(operation.responses as object)
    .filter((status) => status !== 'default')
    .map((status) => `${method.toUpperCase()} ${template} ${status}`),
)

/** Leaves what was answered in this run for whoever sees to it that all that is described was, see dev/test.ts. */
export function leaveReached(): void {
  const file = process.env['REACHED_STATUSES_FILE']
  if (file !== undefined)
    fs.writeFileSync(file, JSON.stringify({ described: describedStatuses, reached: [...reached] }))
}
