import { expect } from 'chai'
import fc from 'fast-check'
import { escapeHtml, mailKinds, needsLink, writeLetter } from '../../src/mail/letters.ts'

const product = 'Example'
const url = 'https://app.example/reset?a=1&b=2#token=abc'

/** Text as somebody might send it who wants to do harm, between text of any kind. */
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '<b>',
        '"',
        "'",
        '&',
        '\r\nBcc: x@evil.example',
        '</p><script>',
        '\u2028',
        'http://evil.example/',
      ),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(''))

describe('a letter', () => {
  for (const kind of mailKinds)
    describe(kind, () => {
      const facts = {
        at: '2026-11-21T04:31:00Z',
        deviceName: 'Ada’s laptop',
        networkAddress: '192.0.2.7',
        newAddress: 'new@example.com',
      }

      it('says what happened, when, where and what to do, in both parts', () => {
        const { subject, text, html } = writeLetter(kind, { product, facts, url })
        const inHtml = html.replaceAll('&#39;', "'").replaceAll('&amp;', '&')

        expect(subject).to.include(product)
        for (const part of [text, inHtml]) {
          for (const said of [product, '21 November 2026 at 04:31 UTC', 'Ada’s laptop', '192.0.2.7', 'If '])
            expect(part).to.include(said)
          if (needsLink(kind)) expect(part).to.include(url)
        }
      })

      it('loads nothing and runs nothing', () => {
        const { html } = writeLetter(kind, { product, facts, url })

        expect(html).to.not.match(/<(?:img|script|link|iframe|style|form)\b|url\(|\son\w+=/i)
        const targets = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, target]) => target)
        for (const target of targets) expect(target).to.equal(escapeHtml(url))
      })

      it('lets nothing through that was written by somebody else', () => {
        const tags = (html: string) => [...html.matchAll(/<[^>]*>/g)].map(([tag]) => tag)
        const plain = writeLetter(kind, { product, facts, url })
        fc.assert(
          fc.property(hostile, hostile, (word, address) => {
            const written = {
              ...facts,
              deviceName: `x${word}`,
              networkAddress: `x${address}`,
              newAddress: `x${address}`,
            }
            const { subject, text, html } = writeLetter(kind, { product, facts: written, url })

            expect(subject).to.equal(plain.subject)
            expect(tags(html)).to.deep.equal(tags(plain.html))
            expect(text.split('\n')).to.have.length(plain.text.split('\n').length)
          }),
        )
      })
    })

  it('has a subject of one line, whatever the service calls itself', () => {
    fc.assert(
      fc.property(hostile, fc.constantFrom(...mailKinds), (name, kind) => {
        const { subject } = writeLetter(kind, { product: name, facts: {}, url })
        expect(subject).to.not.match(/[\p{Cc}\u2028\u2029]/u)
      }),
    )
  })

  it('takes from a device name what a mail program would make a link of', () => {
    fc.assert(
      fc.property(fc.webUrl(), fc.domain(), fc.emailAddress(), (...links) => {
        const deviceName = links.join(' ').slice(0, 100)
        const { text } = writeLetter('new-device', { product, facts: { deviceName } })
        const shown = /^Device: (.*)$/m.exec(text)![1]!
        expect(shown).to.not.match(/[:@]|\p{L}\.|\.\p{L}/u)
      }),
    )
    const { text } = writeLetter('new-device', { product, facts: { deviceName: 'Firefox 145.0 (Linux; x86_64)' } })
    expect(text).to.include('Device: Firefox 145.0 (Linux; x86_64)')
  })

  it('leaves a letter of a device name no more marks than languages have', () => {
    const { text } = writeLetter('new-device', { product, facts: { deviceName: `Z${'\u030D'.repeat(90)} Tiếng เป็นนี้` } })
    expect(text).to.include(`Device: Z${'\u030D'.repeat(4)} Tiếng เป็นนี้\n`)
  })

  it('has no button without a link', () => {
    expect(writeLetter('password-changed', { product, facts: {} }).html).to.not.include('href')
  })
})
