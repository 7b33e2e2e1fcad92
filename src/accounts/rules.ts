import { createRequire } from 'node:module'
import { AppError, type Fault } from '../errors.ts'
import { canonicalLabel, codePoints, labelMaxCodePoints } from '../platform/label.ts'

/**
 * What a person may call themselves and choose as a password. Pure rules that are explained to people; the database has
 * the last word on whether a name is taken.
 */

const emailMax = 254
const emailLocalMax = 64
/** Asked before folding: U+212A, the Kelvin sign, folds to an ASCII k. */
const ascii = /^[!-~]+$/
const localPart = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
const domain = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const username = /^[a-z0-9][a-z0-9._-]{1,31}$/i
const passwordMaxCodePoints = 128

/**
 * The one form under which an e-mail address is known, or null when it is none that mail can safely be sent to.
 *
 * Plain ASCII `local@domain.tld` (RFC 5321 §4.1.2 without quoted strings and address literals), folded to lower case,
 * so that no two people hold addresses that a mail server takes for one.
 */
export function canonicalEmail(text: string): string | null {
  if (text.length > emailMax || !ascii.test(text)) return null
  const email = text.toLowerCase()
  const at = email.lastIndexOf('@')
  if (at < 1 || at > emailLocalMax) return null
  return localPart.test(email.slice(0, at)) && domain.test(email.slice(at + 1)) ? email : null
}

export function isUsername(text: string): boolean {
  return username.test(text)
}

/** The form of a password that is hashed: NFC, so that two keyboards type the same (SP 800-63B-4 §3.1.1.2). */
export function canonicalPassword(text: string): string {
  return text.normalize('NFC')
}

const load = createRequire(import.meta.url)
let commonPasswords: ReadonlySet<string> | undefined

/** Passwords that many people have, most of them from breaches: 13 MB once unpacked, and so left packed until one is chosen. */
function isCommon(text: string): boolean {
  if (!commonPasswords) {
    const { dictionary } = load('@zxcvbn-ts/language-common') as typeof import('@zxcvbn-ts/language-common')
    commonPasswords = new Set(dictionary['passwords-common'])
  }
  return commonPasswords.has(text)
}
const productName = 'latchkey'
/** With less than this beside a name that everybody can guess, there is nothing left to guess. */
const ownCharactersMin = 5
const wordMin = 4

/** Why a password is easily guessed although it is long enough (SP 800-63B-4 §3.1.1.2), or null. */
function weaknessOf(password: string, { email, username: name }: Written): string | null {
  const text = canonicalPassword(password).toLowerCase()
  if (isCommon(text)) return 'must not be one that many people use'
  if (/^(.)\1*$/su.test(text)) return 'must not be one character repeated'
  const letters = lettersOf(text)
  const words = [email, email?.split('@')[0], name, productName].map((word) => lettersOf(word ?? ''))
  const guessed = words.some(
    (word) =>
      word.length >= wordMin &&
      ((letters.includes(word) && letters.length - word.length < ownCharactersMin) ||
        (letters.length >= wordMin && word.includes(letters))),
  )
  return guessed ? 'must not be so close to your e-mail address, your username or the name of this service' : null
}

/** Only what is heard when a text is read out: its letters and digits. */
function lettersOf(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '')
}

/** What people write about themselves; null clears, a missing member says nothing. */
export interface Written {
  email?: string | undefined
  username?: string | null | undefined
  name?: string | null | undefined
  deviceName?: string | null | undefined
  password?: string | undefined
}

/** Everything that is wrong with what was written, one sentence a member. */
export function faultsOf(written: Written, { passwordMinLength }: { passwordMinLength: number }): Fault[] {
  const faults: Fault[] = []
  const refuse = (member: keyof Written, detail: string) => faults.push({ member, detail })
  if (written.email !== undefined && canonicalEmail(written.email) === null)
    refuse('email', 'must be one e-mail address in plain ASCII, such as ada@example.com')
  if (written.username != null && !isUsername(written.username))
    refuse(
      'username',
      'must be 2 to 32 letters, digits, dots, hyphens or underscores, and begin with a letter or digit',
    )
  if (written.name != null && canonicalLabel(written.name) === null)
    refuse('name', `must be 1 to ${labelMaxCodePoints} printable characters`)
  if (written.deviceName != null && canonicalLabel(written.deviceName) === null)
    refuse('deviceName', `must be 1 to ${labelMaxCodePoints} printable characters`)
  if (written.password !== undefined) {
    const length = codePoints(canonicalPassword(written.password))
    const weakness = weaknessOf(written.password, written)
    if (length < passwordMinLength) refuse('password', `must have at least ${passwordMinLength} characters`)
    else if (length > passwordMaxCodePoints) refuse('password', `must have at most ${passwordMaxCodePoints} characters`)
    else if (weakness !== null) refuse('password', weakness)
  }
  return faults
}

/** @throws AppError `password-refused` when only the password is at fault, `validation-failed` for all else */
export function mustBeFaultless(faults: Fault[]): void {
  if (faults.length === 0) return
  const onlyPassword = faults.every(({ member }) => member === 'password')
  throw new AppError(onlyPassword ? 'password-refused' : 'validation-failed', { faults })
}
