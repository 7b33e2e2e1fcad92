import { createHash } from 'node:crypto'

/** Text that is HTML already. */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Part = string | number | Html | Html[] | null

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function written(part: Part): string {
  if (part === null) return ''
  if (Array.isArray(part)) return part.map(written).join('')
  return part instanceof Html ? part.text : String(part).replaceAll(/[&<>"']/g, (sign) => entities[sign]!)
}

/** HTML from a template; whatever is put into it is text, unless it was made here as well. */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Html {
  return new Html(strings.map((string, i) => string + (i < parts.length ? written(parts[i]!) : '')).join(''))
}

/**
 * The style of all pages: the system's font, light or dark as the reader has it, and nothing that is loaded.
 *
 * Contrasts are 4.5:1 and more in both (WCAG 2.2, 1.4.3); what has the focus is plain to see.
 */
const style = `
:root { color-scheme: light dark; --ink: #1c2128; --soft: #57606a; --paper: #f6f8fa; --sheet: #fff; --line: #d0d7de;
  --accent: #0b5cad; --on-accent: #fff; --bad: #b3261e; --good: #1a6b33 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9ea7b3; --paper: #0d1117; --sheet: #161b22;
  --line: #3d444d; --accent: #79b8ff; --on-accent: #0d1117; --bad: #ff9b93; --good: #7ee2a0 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; align-content: start; justify-items: center; padding: 8vh 1rem 2rem;
  background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 26rem; padding: 2rem; background: var(--sheet); border: 1px solid var(--line);
  border-radius: .75rem }
main.wide { max-width: 46rem }
h1 { margin: 0 0 .75rem; font-size: 1.375rem; line-height: 1.25 }
p { margin: 0 0 1rem } p:last-child { margin-bottom: 0 }
label { display: block; margin-bottom: .25rem; font-weight: 600 }
input { width: 100%; padding: .625rem .75rem; font: inherit; color: inherit; background: var(--paper);
  border: 1px solid var(--soft); border-radius: .5rem }
.hint { margin: .375rem 0 1.25rem; color: var(--soft); font-size: .9375rem }
.bad { color: var(--bad); font-weight: 600 } .good { color: var(--good) }
button { width: 100%; min-height: 2.75rem; padding: .625rem 1rem; font: inherit; font-weight: 600; cursor: pointer;
  color: var(--on-accent); background: var(--accent); border: 0; border-radius: .5rem }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
a { color: var(--accent) } code { font-family: ui-monospace, monospace; font-size: .9375em }
table { width: 100%; border-collapse: collapse; font-size: .9375rem }
th, td { padding: .375rem .5rem .375rem 0; text-align: left; vertical-align: top; border-top: 1px solid var(--line) }
footer { margin-top: 1.25rem; color: var(--soft); font-size: .875rem }
`

const styleDigest = createHash('sha256').update(style).digest('base64')

/** What a page may do: show itself, and send its form back to where it came from. */
const policy = [
  "default-src 'none'",
  `style-src 'sha256-${styleDigest}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** The headers of a page. The address of one may have a token in it, which no other site is to learn. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': policy,
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'X-Robots-Tag': 'noindex',
}

/** A whole page. */
export function page(title: string, content: Html, { isWide = false } = {}): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(style)}</style>
</head>
<body>
<main${isWide ? new Html(' class="wide"') : null}>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`.text
}
