import { AppError, errorCodes, type ErrorCode } from '../../errors.ts'
import { problemKinds } from '../problems.ts'
import { html, page } from './html.ts'

/** What the `type` of a problem leads to (RFC 9457 §3.1.1): what it means, and what to do about it. */
export function problemPage(code: string): string {
  if (!isCode(code)) throw new AppError('not-found')
  const { status, title, detail } = problemKinds[code]
  const more = details[code]
  return page(
    title,
    html`<p><code>${code}</code>, with status ${status}.</p>
      <p>${detail}</p>
      ${more === undefined ? null : html`<p>${more}</p>`}
      <footer><a href="../problems">All problems</a></footer>`,
  )
}

/** All codes of the closed list. */
export function problemsPage(): string {
  const rows = errorCodes.map(
    (code) =>
      html`<tr>
        <td>
          <a href="problems/${code}"><code>${code}</code></a>
        </td>
        <td>${problemKinds[code].status}</td>
        <td>${problemKinds[code].title}</td>
      </tr>`,
  )
  return page(
    'Problems',
    html`<p>Every refusal of this API is one of these (RFC 9457). Programs go by <code>code</code>.</p>
      <table>
        <thead>
          <tr>
            <th scope="col">Code</th>
            <th scope="col">Status</th>
            <th scope="col">Meaning</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>`,
    { isWide: true },
  )
}

const isCode = (text: string): text is ErrorCode => (errorCodes as readonly string[]).includes(text)

/** What is worth knowing beyond the sentence that every answer has. */
const details: Readonly<Partial<Record<ErrorCode, string>>> = {
  'validation-failed': 'errors has a JSON Pointer to each member at fault, and what would be right.',
  'invalid-token':
    'reason says why: expired and idle are a matter of time, the others mean that the session was ended. unknown is all that a stranger is told.',
  'invalid-refresh-token':
    'Do not try again with it. With the reason reused, a spent refresh token was shown once more: somebody else may hold it, and the session was ended.',
  'too-many-attempts': 'Open sessions go on. Wait for the seconds in Retry-After; asking earlier does not help.',
  unavailable:
    'A store was away. This is no verdict on a token: keep it, and try again after the seconds in Retry-After.',
  'internal-error': 'The id in instance finds the request in the log of the service.',
}
