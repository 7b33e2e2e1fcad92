import { setTimeout as delay } from 'node:timers/promises'
import { createTransport } from 'nodemailer'
import type { Letter } from './letters.ts'

export interface Sender {
  name: string
  address: string
}

/**
 * What the mail server made of a mail. `refused`: it never will take it. `later`: not now, but this may change.
 * `unreachable`: there is no talking to it at all, whatever the mail.
 */
export type Verdict = { kind: 'sent' } | { kind: 'refused' | 'later' | 'unreachable'; reason: string }

const connectTimeoutMs = 5000
const greetingTimeoutMs = 5000
/** The longest silence of the server in between. */
const silenceTimeoutMs = 10_000
/** The longest time for one mail in all; less than a claim lasts. */
const sendTimeoutMs = 40_000

/** One mailbox and nothing else: no list, no name, no quotes that somebody might read in another way. */
const oneMailbox = /^[^\s<>(),;:"\\[\]@]{1,64}@[a-z\d.-]{1,253}$/i

/** The steps at which the server speaks about this mail; at all others it speaks about us or itself. */
const aboutTheMail = new Set(['MAIL FROM', 'RCPT TO', 'DATA'])
/** Codes that ask for a login or for TLS, at whatever step (RFC 3207, RFC 4954): the mail could be any. */
const aboutTheLogin = new Set([530, 534, 535, 538])

/**
 * Sends one mail on a connection of its own, within bounded time, and never throws.
 *
 * @param url where it has a password, that is said to nobody but over TLS, unless the URL itself has `requireTLS=false`
 */
export function createSmtp({ url, from }: { url: string; from: Sender }) {
  const transport = transportTo(url)

  /** @param messageId the same at each attempt, so that a mail which arrives twice can be told for one */
  return async function send({ to, messageId, letter }: { to: string; messageId: string; letter: Letter }) {
    if (!oneMailbox.test(to)) return { kind: 'refused', reason: 'not one address' } satisfies Verdict
    const sending = transport
      .sendMail({
        from,
        to: { name: '', address: to },
        envelope: { from: from.address, to: [to] },
        messageId,
        headers: { 'Auto-Submitted': 'auto-generated' },
        ...letter,
      })
      .then(() => ({ kind: 'sent' }) as const, verdictOf)
    const tooLong = delay(sendTimeoutMs, { kind: 'unreachable', reason: 'ETIMEDOUT' } as const, { ref: false })
    return (await Promise.race([sending, tooLong])) as Verdict
  }
}

/** Greets the mail server, with TLS and a login where the URL has them; null when that went well, else why not. */
export async function greetSmtp(url: string): Promise<string | null> {
  try {
    await transportTo(url).verify()
    return null
  } catch (error) {
    const verdict = verdictOf(error)
    return 'reason' in verdict ? verdict.reason : null
  }
}

function transportTo(url: string) {
  return createTransport({
    url,
    requireTLS: new URL(url).password !== '', // also against somebody between who takes STARTTLS out
    connectionTimeout: connectTimeoutMs,
    greetingTimeout: greetingTimeoutMs,
    socketTimeout: silenceTimeoutMs,
    dnsTimeout: connectTimeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
}

/** Reads an error of nodemailer; the server's own words stay out, since they often quote the address. */
function verdictOf(error: unknown): Verdict {
  const { code, originalCode, command, responseCode, response } = error as {
    code?: string
    originalCode?: string
    command?: string
    responseCode?: number
    response?: string
  }
  if (responseCode !== undefined && command !== undefined) {
    const enhanced = /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b/.exec(response ?? '')?.[1]
    const reason = `${responseCode}${enhanced ? ` ${enhanced}` : ''} at ${command}`
    if (!aboutTheMail.has(command) || aboutTheLogin.has(responseCode)) return { kind: 'unreachable', reason }
    return { kind: responseCode >= 500 ? 'refused' : 'later', reason }
  }
  const reason = originalCode ?? code ?? 'error'
  if (code === 'EENVELOPE') return { kind: 'refused', reason }
  return { kind: code === undefined || code === 'EMESSAGE' || code === 'ESTREAM' ? 'later' : 'unreachable', reason }
}
