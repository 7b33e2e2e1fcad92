/** The mail catcher of `npm start`: takes every mail, writes it to `.data/mail/`, and sends none of them on. */
import { once } from 'node:events'
import fs from 'node:fs'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import PostalMime from 'postal-mime'
import { SMTPServer } from 'smtp-server'
import { dataDir, startUrl } from './places.ts'

export interface MailCatcher {
  /** What makes the service send its mails here. */
  env: { SMTP_URL: string; MAIL_FROM: string; FRONTEND_URL: string }
  /** Where the mails are, from the project's folder. */
  folder: string
  stop: () => Promise<void>
}

const folder = path.join(dataDir, 'mail')
/** Tells mails apart that come in the same millisecond. */
let count = 0

/**
 * Listens on a free loopback port.
 *
 * @param onMail is told of each mail in one line: to whom, about what, and its link
 */
export async function startMailCatcher({ onMail }: { onMail: (line: string) => void }): Promise<MailCatcher> {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })

  async function take(raw: Buffer, to: string, done: (error?: Error) => void): Promise<void> {
    try {
      onMail(await keep(raw, to))
    } catch (error) {
      return done(error as Error)
    }
    done()
  }

  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const to = session.envelope.rcptTo.map(({ address }) => address).join(', ')
        void take(Buffer.concat(chunks), to, done)
      })
    },
  })
  server.on('error', () => undefined) // a connection that broke; the service sends again
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const { port } = server.server.address() as AddressInfo
  return {
    env: {
      SMTP_URL: `smtp://127.0.0.1:${port}`,
      MAIL_FROM: process.env['MAIL_FROM'] || 'Latchkey <latchkey@localhost>',
      FRONTEND_URL: process.env['FRONTEND_URL'] || process.env['PUBLIC_URL'] || startUrl,
    },
    folder: path.relative(process.cwd(), folder),
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/**
 * Writes a mail as it came, and its text beside it.
 *
 * @returns the line to be shown, without anything that steers a terminal: whoever finds the port may send what they like
 */
async function keep(raw: Buffer, to: string): Promise<string> {
  const { subject = '', text = '' } = await PostalMime.parse(raw)
  const time = new Date().toISOString().replaceAll(/[:.]/g, '-')
  const words = subject
    .toLowerCase()
    .replaceAll(/[^a-z\d]+/g, '-')
    .slice(0, 60)
  const base = path.join(folder, `${time}-${String(++count).padStart(4, '0')}-${words}`)
  fs.writeFileSync(`${base}.eml`, raw, { mode: 0o600, flag: 'wx' })
  fs.writeFileSync(`${base}.txt`, text, { mode: 0o600, flag: 'wx' })
  const link = /https?:\/\/\S+/.exec(text)?.[0]
  return `mail to ${to}: ${subject}${link ? ` · ${link}` : ''}`.replaceAll(/[\p{Cc}\p{Cf}]/gu, '')
}
