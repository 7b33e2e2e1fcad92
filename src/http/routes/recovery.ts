import type { Accounts } from '../../accounts/index.ts'
import type { Client } from '../../sessions/index.ts'
import { defineRoute, reply } from '../route.ts'
import * as schemas from '../schemas.ts'
import { tokenView, userView } from '../views.ts'

/** Asking for a mail: everybody gets the same answer, whether or not there is such an account. */
function mailOnRequest(
  path: string,
  {
    summary,
    message,
    ask,
  }: { summary: string; message: string; ask: (accounts: Accounts, email: string, client: Client) => Promise<void> },
) {
  return defineRoute({
    method: 'post',
    path,
    summary,
    auth: 'none',
    body: schemas.EmailBody,
    written: (members) => members,
    replies: { 202: schemas.MailPromised },
    problems: ['too-many-attempts'],
    async handle({ body, client }, { accounts }) {
      await ask(accounts, body.email, client)
      return reply(202, { message })
    },
  })
}

export const forgotPassword = mailOnRequest('/v1/auth/forgot-password', {
  summary: 'Send a link to reset the password, if there is such an account',
  message: 'If there is an account with this address, a mail is on its way.',
  ask: (accounts, email, client) => accounts.forgotPassword(email, client),
})

export const resendVerification = mailOnRequest('/v1/auth/resend-verification', {
  summary: 'Send the link that confirms an address once more, if it is needed',
  message: 'If this address is still to be confirmed, a mail is on its way.',
  ask: (accounts, email, client) => accounts.resendVerification(email, client),
})

export const resetPassword = defineRoute({
  method: 'post',
  path: '/v1/auth/reset-password',
  summary: 'Spend the token of a reset mail for a new password; ends every session',
  auth: 'none',
  body: schemas.ResetBody,
  replies: { 204: schemas.Nothing },
  problems: ['invalid-reset-token', 'password-refused', 'too-many-attempts'],
  async handle({ body, client }, { accounts }) {
    await accounts.resetPassword(body.token, body.new_password, client)
    return reply(204, null)
  },
})

export const verifyEmail = defineRoute({
  method: 'post',
  path: '/v1/auth/verify-email',
  summary: 'Spend the token of a mail to confirm its address',
  auth: 'none',
  body: schemas.VerifyBody,
  replies: { 200: schemas.User },
  problems: ['invalid-token-link', 'email-taken', 'too-many-attempts'],
  async handle({ body, client }, { accounts }) {
    return reply(200, userView(await accounts.verifyEmail(body.token, client)))
  },
})

export const changePassword = defineRoute({
  method: 'post',
  path: '/v1/me/password',
  summary: 'Change the password; this session gets a new pair, all others end',
  auth: 'bearer',
  body: schemas.PasswordBody,
  replies: { 200: schemas.TokenResponse },
  problems: ['wrong-password', 'password-refused', 'too-many-attempts'],
  async handle({ body, caller }, { accounts, clock }) {
    const signedIn = await accounts.changePassword(caller, {
      currentPassword: body.current_password,
      newPassword: body.new_password,
    })
    return reply(200, tokenView(signedIn, clock.now()))
  },
})

export const deleteMe = defineRoute({
  method: 'delete',
  path: '/v1/me',
  summary: 'Delete the caller’s account and everything that belongs to it',
  auth: 'bearer',
  body: schemas.DeleteBody,
  replies: { 204: schemas.Nothing },
  problems: ['wrong-password', 'too-many-attempts', 'last-admin'],
  async handle({ body, caller }, { accounts }) {
    await accounts.remove(caller, body.current_password)
    return reply(204, null)
  },
})
