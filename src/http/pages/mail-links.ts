import type { Context } from 'koa'
import { AppError } from '../../errors.ts'
import { readForm, type Form } from '../body.ts'
import type { Exchange } from '../exchange.ts'
import { clientOf } from '../guard.ts'
import { problemKinds } from '../problems.ts'
import type { Services } from '../route.ts'
import { html, page, pageHeaders, type Html } from './html.ts'

/**
 * The pages behind the links in mails, for those who have no front end: they need no script, spend nothing when they are
 * opened (mail programs open links by themselves), and have no cookie that another site could use.
 */
export const mailLinkPages = {
  '/reset-password': { title: 'Choose a new password', form: resetForm, submit: resetPassword },
  '/verify-email': { title: 'Confirm your e-mail address', form: verifyForm, submit: verifyEmail },
} as const

type Path = keyof typeof mailLinkPages

/** Shows the form. The token is taken from the address and goes back in the body. */
export function showMailLinkPage(path: Path, ctx: Context): void {
  const { title, form } = mailLinkPages[path]
  const token = new URLSearchParams(ctx.querystring).get('token') ?? ''
  if (token === '') say(ctx, 400, title, html`<p>This link is not whole. Open it from the mail once more.</p>`)
  else say(ctx, 200, title, form(token, null))
}

/**
 * Takes the form, and says what became of it.
 *
 * Whoever sends it has the token, which is all the proof there is; a browser that says it was sent from another site is
 * refused all the same.
 */
export async function submitMailLinkPage(path: Path, ctx: Context, services: Services): Promise<void> {
  const { title, form, submit } = mailLinkPages[path]
  const site = ctx.req.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    return say(
      ctx,
      403,
      title,
      html`<p class="bad">This form was sent from another site. Open the link in the mail.</p>`,
    )
  const sent: Form = await readForm(ctx.req)
  try {
    await submit(sent, ctx, services)
    say(
      ctx,
      200,
      title,
      html`<p class="good" role="status">${done[path]}</p>
        <p>You can close this page.</p>`,
    )
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const { status, headers } = (ctx.state['exchange'] as Exchange).refuse(error)
    const { detail } = problemKinds[error.code]
    ctx.set(headers)
    if (error.code === 'password-refused')
      return say(ctx, status, title, form(sent['token'] ?? '', error.faults?.[0]?.detail ?? detail))
    say(ctx, status, title, html`<p class="bad" role="alert">${words[error.code] ?? detail}</p>`)
  }
}

const done: Record<Path, string> = {
  '/reset-password': 'Your password was changed, and you were signed out everywhere. Sign in with the new one.',
  '/verify-email': 'Your e-mail address is confirmed.',
}

/** What a reader of mails is told, where the API's own words are for programs. */
const words: Readonly<Partial<Record<AppError['code'], string>>> = {
  'invalid-reset-token':
    'This link cannot be used: it was used already, has expired, or there is a newer one. Ask for another.',
  'invalid-token-link':
    'This link cannot be used: it was used already, has expired, or there is a newer one. Ask for another.',
  'too-many-attempts': 'There were too many attempts. Try again later.',
  unavailable: 'This did not work just now. Nothing is lost: try again in a moment.',
}

async function resetPassword({ token = '', new_password = '' }: Form, ctx: Context, services: Services): Promise<void> {
  await services.accounts.resetPassword(token, new_password, clientOf(ctx.req, services))
}

async function verifyEmail({ token = '' }: Form, ctx: Context, services: Services): Promise<void> {
  await services.accounts.verifyEmail(token, clientOf(ctx.req, services))
}

function resetForm(token: string, fault: string | null): Html {
  return html`<form method="post" action="reset-password" autocomplete="on">
      <input type="hidden" name="token" value="${token}" />
      <label for="new_password">New password</label>
      <input
        id="new_password"
        name="new_password"
        type="password"
        autocomplete="new-password"
        required
        aria-describedby="hint"
        ${fault === null ? null : html`aria-invalid="true" `}autofocus
      />
      <p class="hint" id="hint">
        ${fault === null ? 'A sentence that only you would think of is a good one.' : html`<span class="bad" role="alert">The password ${fault}.</span>`}
      </p>
      <button>Change the password</button>
    </form>
    <footer>This signs you out everywhere.</footer>`
}

function verifyForm(token: string): Html {
  return html`<form method="post" action="verify-email">
    <input type="hidden" name="token" value="${token}" />
    <p>Press the button to confirm that this address is yours.</p>
    <button>Confirm the address</button>
  </form>`
}

function say(ctx: Context, status: number, title: string, content: Html): void {
  ctx.status = status
  ctx.set(pageHeaders)
  ctx.body = page(title, content)
}
