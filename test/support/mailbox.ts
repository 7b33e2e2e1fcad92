import { expect } from 'chai'
import type { ApiClient } from './client.ts'
import { eventually } from './eventually.ts'
import type { Received, SmtpSink } from './smtp.ts'

export const subjects = {
  reset: /^Reset your password/,
  verify: /^Confirm your e-mail/,
  newAddress: /^Confirm your new e-mail/,
}

/** The mails as their readers have them. */
export function readMails(smtp: SmtpSink) {
  /** The mail of a kind, told by its subject, once it has come. */
  async function mailTo(address: string, subject: RegExp, count = 1): Promise<Received> {
    return eventually(() => {
      const mails = smtp.mailsTo(address).filter((mail) => subject.test(mail.subject))
      expect(mails.length, `${subject} to ${address}`).to.be.at.least(count)
      return mails.at(-1)!
    }, 10_000)
  }

  /** Asks for a reset mail, and takes the token out of it. */
  async function aResetToken(client: ApiClient, { email }: { email: string }, count = 1): Promise<string> {
    expect((await client.post('/v1/auth/forgot-password', { body: { email } })).status).to.equal(202)
    return tokenIn(await mailTo(email, subjects.reset, count))
  }

  return { mailTo, aResetToken }
}

export function tokenIn({ text }: Received): string {
  const [, token] = /https:\/\/app\.example\/[a-z-]+\?token=([\w-]{43})\s/.exec(text) ?? []
  expect(token, text).to.be.a('string')
  return token!
}
