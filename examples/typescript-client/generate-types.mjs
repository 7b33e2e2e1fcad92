// Writes api.ts anew from the description of the API. Run by `npm run client:types` in the project's folder.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import openapiTS, { astToString } from 'openapi-typescript'

const description = new URL('../../test/openapi.json', import.meta.url)
const digest = createHash('sha256').update(fs.readFileSync(description)).digest('hex')
const types = astToString(await openapiTS(description))
fs.writeFileSync(
  new URL('api.ts', import.meta.url),
  `// Generated from the description of the API by openapi-typescript; \`npm run client:types\` writes it anew.\n` +
    `// SHA-256 of test/openapi.json: ${digest}\n\n${types}`,
)
