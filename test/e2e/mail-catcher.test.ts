import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { createTransport } from 'nodemailer'
import PostalMime from 'postal-mime'
import type { MailCatcher } from '../../dev/mail.ts'
import { eventually } from '../support/eventually.ts'
import { catchMailsIn } from '../support/mail-catcher.ts'
import { ownPostgres } from '../support/own-stores.ts'
import { aPerson } from '../support/people.ts'
import { startService } from '../support/service.ts'

describe('the mail catcher of npm start', function () {
  this.timeout(40_000)
  let home: string
  let folder: string
  let catcher: MailCatcher
  let lines: string[]
  beforeEach(async () => {
    home = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-catcher-'))
    folder = path.join(home, '.data/mail')
    lines = []
    catcher = await catchMailsIn(home, (line) => lines.push(line))
  })
  afterEach(async () => {
    await catcher.stop()
    fs.rmSync(home, { recursive: true })
  })

  const caught = (extension: string) =>
    fs
      .readdirSync(folder)
      .filter((name) => name.endsWith(extension))
      .map((name) => path.join(folder, name))

  /** Sends a mail as it is written, by a client that is not the service. */
  async function send(mail: string, to = 'ada@example.com'): Promise<void> {
    const transport = createTransport({ url: catcher.env.SMTP_URL })
    await transport.sendMail({ envelope: { from: 'x@example.com', to: [to] }, raw: mail })
  }

  it('writes each mail of the service to files for its owner alone, and prints its link', async () => {
    const postgres = await ownPostgres()
    const service = await startService({ ...catcher.env, DATABASE_URL: postgres.url })
    try {
      await eventually(async () => expect((await service.client.get('/health/ready')).status).to.equal(200), 20_000)
      const { email } = await aPerson(service.client)
      await eventually(() => expect(lines).to.have.length(1), 10_000)

      const [line] = lines as [string]
      expect(line).to.match(
        new RegExp(`^mail to ${email}: Confirm your e-mail address .* http://127.0.0.1:3000/verify`),
      )
      const link = / (http\S+)$/.exec(line)![1]!
      const [[eml], [txt]] = [caught('.eml'), caught('.txt')]
      expect(path.basename(eml!)).to.match(/^[\d-]+T[\d-]+Z-\d{4}-confirm-your-e-mail-address-for-latchkey\.eml$/)
      expect(fs.readFileSync(txt!, 'utf8')).to.include(link)
      const { text, html, to } = await PostalMime.parse(fs.readFileSync(eml!))
      expect(to![0]).to.include({ address: email })
      for (const form of [text, html]) expect(form).to.include(link)
      for (const file of [eml!, txt!]) expect(fs.statSync(file).mode & 0o777).to.equal(0o600)
      expect(fs.statSync(folder).mode & 0o777).to.equal(0o700)
    } finally {
      await service.close()
      await postgres.discard()
    }
  })

  it('keeps mails apart that come at once and say the same', async () => {
    const people = Array.from({ length: 20 }, (_, i) => `person-${i}@example.com`)
    await Promise.all(people.map((to) => send(`To: ${to}\r\nSubject: Hello\r\n\r\nto ${to}\r\n`, to)))

    const texts = caught('.txt').map((file) => fs.readFileSync(file, 'utf8').trim())
    expect(texts).to.have.members(people.map((to) => `to ${to}`))
  })

  it('lets no subject out of its folder, and nothing that steers a terminal into its lines', async () => {
    const steering = '\u001B]0;owned\u0007\u001B[2J\u202E\u009B31m\r\nmail to you: a second line'
    const encoded = (text: string) => `=?utf-8?B?${Buffer.from(text).toString('base64')}?=`
    const link = `https://app.example/\u001B[31mreset\u0007`
    const text = `Content-Type: text/plain; charset=utf-8\r\n\r\n${link}\r\n`
    const subjects = ['../../../escaped', '/tmp/escaped', '..', '', 'x'.repeat(5000), steering]
    for (const subject of subjects) await send(`Subject: ${encoded(subject)}\r\n${text}`)

    const left = (fs.readdirSync(home, { recursive: true }) as string[]).filter((name) => /\.(eml|txt)$/.test(name))
    expect(left.filter((name) => path.dirname(name) === '.data/mail')).to.have.length(2 * subjects.length)
    expect(
      left.filter((name) => path.dirname(name) !== '.data/mail' && !name.startsWith('node_modules')),
    ).to.deep.equal([])
    for (const name of fs.readdirSync(folder)) expect(name).to.match(/^[\w-]{1,120}\.(eml|txt)$/)
    expect(lines).to.have.length(subjects.length)
    for (const line of lines) expect(line).to.match(/^mail to ada@example\.com: [^\p{Cc}\p{Cf}]*reset$/u)
  })
})
