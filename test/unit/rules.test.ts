import { expect } from 'chai'
import fc from 'fast-check'
import { canonicalEmail, canonicalPassword, faultsOf, isUsername } from '../../src/accounts/rules.ts'
import { canonicalLabel } from '../../src/platform/label.ts'

describe('the rule for e-mail addresses', () => {
  it('takes plain addresses and folds them to lower case', () => {
    for (const [typed, kept] of [
      ['ada@example.com', 'ada@example.com'],
      ['Ada.Lovelace+news@Mail.Example.CO.uk', 'ada.lovelace+news@mail.example.co.uk'],
      ["o'brien_{x}@xn--bcher-kva.example", "o'brien_{x}@xn--bcher-kva.example"],
      [`${'a'.repeat(64)}@example.com`, `${'a'.repeat(64)}@example.com`],
    ] as const)
      expect(canonicalEmail(typed)).to.equal(kept)
  })

  it('refuses what mail cannot safely be sent to', () => {
    for (const typed of [
      '',
      'ada',
      '@example.com',
      'ada@',
      'ada@localhost',
      'ada@127.0.0.1',
      'ada@example.123',
      'ada@example..com',
      'ada@-example.com',
      'ada@example-.com',
      'ada@[127.0.0.1]',
      '"ada"@example.com',
      '"a@b"@example.com',
      '.ada@example.com',
      'ada.@example.com',
      'a..b@example.com',
      'ada@example.com,eve@example.com',
      'ada@example.com eve@example.com',
      'ada@example.com\r\nBcc: eve@example.com',
      ' ada@example.com',
      'ada@example.com\u0000',
      'äda@example.com',
      'ada@exämple.com',
      'ada@exampl\u212a.com',
      `${'a'.repeat(65)}@example.com`,
      `ada@${'a'.repeat(64)}.com`,
      `ada@${'a.'.repeat(130)}com`,
    ])
      expect(canonicalEmail(typed), JSON.stringify(typed)).to.equal(null)
  })

  it('has one form for each address, which is ASCII without blanks', () => {
    fc.assert(
      fc.property(fc.oneof(fc.emailAddress(), fc.string({ unit: 'binary' })), (typed) => {
        const email = canonicalEmail(typed)
        if (email === null) return
        expect(email).to.match(/^[!-~]+$/)
        expect(canonicalEmail(email)).to.equal(email)
        expect(canonicalEmail(typed.toUpperCase())).to.equal(email)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('the rule for usernames', () => {
  it('takes letters, digits, dots, hyphens and underscores', () => {
    for (const name of ['ada', 'A1', '0x', 'ada.lovelace', 'ada_l-1', 'a'.repeat(32)])
      expect(isUsername(name), name).to.equal(true)
  })

  it('refuses everything else, and so whatever could be an e-mail address', () => {
    for (const name of ['', 'a', '.ada', '-ada', 'a@b', 'a b', 'ada\n', 'ädä', 'a'.repeat(33), '\u212aelvin'])
      expect(isUsername(name), JSON.stringify(name)).to.equal(false)
    fc.assert(
      fc.property(fc.emailAddress(), (email) => {
        expect(isUsername(email)).to.equal(false)
      }),
    )
  })
})

describe('the rule for names', () => {
  it('keeps printable text in NFC without blanks around it', () => {
    expect(canonicalLabel('  Åsa 👩‍🔬 ')).to.equal('Åsa 👩‍🔬')
    expect(canonicalLabel('A\u030asa')).to.equal('Åsa')
    expect(canonicalLabel('😀'.repeat(100))).to.equal('😀'.repeat(100))
  })

  it('refuses nothing, too much, and what cannot be printed', () => {
    for (const text of [
      '',
      '   ',
      '😀'.repeat(101),
      'a\nb',
      'a\u0000',
      '\ud800',
      'a\u2028b',
      'lost \uFFFD',
      '\u200B',
      'a\u202Eb',
    ])
      expect(canonicalLabel(text), JSON.stringify(text)).to.equal(null)
  })
})

const refused = (password: string, passwordMinLength = 8) => faultsOf({ password }, { passwordMinLength }).length > 0

describe('the rule for passwords', () => {
  it('counts code points after normalisation', () => {
    expect(refused('😀'.repeat(7))).to.equal(true)
    expect(refused('😀😁'.repeat(4))).to.equal(false)
    expect(refused('a\u030ab'.repeat(3))).to.equal(true)
    expect(refused('xy'.repeat(64))).to.equal(false)
    expect(refused('xy'.repeat(65))).to.equal(true)
    expect(refused('xy'.repeat(7), 15)).to.equal(true)
  })

  it('asks for no kinds of characters: any text of that length is fine', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 64, maxLength: 64 }), (text) => {
        const length = Array.from(canonicalPassword(text)).length
        if (length <= 128 && new Set(text).size > 1) expect(refused(text)).to.equal(false)
      }),
    )
  })
})
