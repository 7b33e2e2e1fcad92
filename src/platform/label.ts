/** Controls, lone surrogates, separators of lines, the mark of lost bytes, and what is not seen or turns text around. */
const unprintable = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\uFFFD\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF]/u
export const labelMaxCodePoints = 100

/** A name for people to read (of a person, a device, a service), in NFC without blanks around it; null when it cannot be one. */
export function canonicalLabel(text: string): string | null {
  if (unprintable.test(text)) return null
  const label = text.normalize('NFC').trim()
  const length = codePoints(label)
  return length >= 1 && length <= labelMaxCodePoints ? label : null
}

/** Length as people count it, and as SP 800-63B-4 §3.1.1.2 does: an emoji outside the first plane is one. */
export function codePoints(text: string): number {
  return Array.from(text).length
}
