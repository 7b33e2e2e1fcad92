import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { html } from './html.ts'

const packageFile = (name: string) =>
  path.join(path.dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json')), name)

/** Its scripts and styles come from here, it asks this API and nobody else, and it is in no frame. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const docsHeaders: Readonly<Record<string, string>> = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': policy,
  'Referrer-Policy': 'no-referrer',
}

/** The page on which the API is read and tried; all of it comes from the package, so it works offline. */
export const docsPage = html`<!doctype html>
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <title>Latchkey API</title>
      <link rel="icon" href="data:," />
      <link rel="stylesheet" href="docs/swagger-ui.css" />
      <link rel="stylesheet" href="docs/page.css" />
      <script src="docs/swagger-ui-bundle.js" defer></script>
      <script src="docs/page.js" defer></script>
    </head>
    <body>
      <main id="docs">
        <noscript
          >This page needs JavaScript. The description itself is at <a href="openapi.json">openapi.json</a>.</noscript
        >
      </main>
    </body>
  </html> `.text

/** The API is asked where this page was found, whatever it calls itself: behind a tunnel the two may differ. */
const script = `
const base = location.href.replace(/\\/docs\\/?(?:[?#].*)?$/, '')
const dark = matchMedia('(prefers-color-scheme: dark)')
const paint = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', paint)
paint()
const description = await (await fetch(base + '/openapi.json')).json()
SwaggerUIBundle({
  spec: { ...description, servers: [{ url: base }] },
  domNode: document.getElementById('docs'),
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  filter: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null,
})
`

const style = `
html { color-scheme: light dark; background: #f6f8fa } html.dark-mode { background: #0d1117 }
body { margin: 0; font-family: system-ui, sans-serif }
.swagger-ui { max-width: 72rem; margin: 0 auto }
.swagger-ui .wrapper { padding: 0 1rem }
.swagger-ui .info { margin: 2rem 0 1rem }
.swagger-ui .info .title, .swagger-ui .opblock-tag, .swagger-ui .opblock .opblock-summary-description,
.swagger-ui .markdown p, .swagger-ui .btn, .swagger-ui table thead tr th { font-family: system-ui, sans-serif }
.swagger-ui .scheme-container { padding: 1rem 0; background: none; box-shadow: none }
.swagger-ui .servers, .swagger-ui .servers-title { display: none }
:focus-visible { outline: 3px solid #0b5cad; outline-offset: 2px }
@media (max-width: 40rem) {
  .swagger-ui .opblock .opblock-summary-path-description-wrapper { flex: 1; min-width: 0; flex-direction: column;
    align-items: flex-start; gap: 0; padding-left: .625rem }
  .swagger-ui .opblock .opblock-summary-path { max-width: 100%; font-size: .875rem; overflow-wrap: anywhere; padding: 0 }
  .swagger-ui .opblock .opblock-summary-method { min-width: 4.5rem }
  .swagger-ui .info .title { font-size: 1.75rem }
  .swagger-ui .filter .operation-filter-input { width: 100% }
}
`

type File = () => { type: string; body: string | fs.ReadStream }

/** What the page loads, by name. */
export const docsFiles: ReadonlyMap<string, File> = new Map<string, File>(
  Object.entries({
    'swagger-ui.css': () => ({
      type: 'text/css; charset=utf-8',
      body: fs.createReadStream(packageFile('swagger-ui.css')),
    }),
    'swagger-ui-bundle.js': () => ({
      type: 'text/javascript; charset=utf-8',
      body: fs.createReadStream(packageFile('swagger-ui-bundle.js')),
    }),
    'page.css': () => ({ type: 'text/css; charset=utf-8', body: style }),
    'page.js': () => ({
      type: 'text/javascript; charset=utf-8',
      body: `addEventListener('DOMContentLoaded', async () => {${script}})`,
    }),
  }),
)
