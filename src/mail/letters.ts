/** The words of every mail, as text and as HTML with one plain layout. */

export const mailKinds = [
  'verify-email',
  'reset-password',
  'set-password',
  'email-taken',
  'confirm-new-email',
  'email-changed',
  'password-changed',
  'password-reset',
  'refresh-token-reused',
  'new-device',
] as const

export type MailKind = (typeof mailKinds)[number]

/** What a mail tells about what happened. Kept in the database until it is pruned, so no secrets. */
export interface MailFacts {
  /** When it happened, RFC 3339. */
  at?: string
  /** What the device calls itself; anybody may have written it. */
  deviceName?: string | null
  /** From where on the network it happened. */
  networkAddress?: string | null
  /** The address that the account has now, or is to have. */
  newAddress?: string
}

export interface Letter {
  subject: string
  text: string
  html: string
}

interface Wording {
  /** Without anything that a person has written. */
  subject: (product: string) => string
  /** What it is about in a few words, above the HTML part; the text part is read below its subject. */
  heading: string
  /** What happened. */
  said: (product: string, facts: MailFacts) => string
  /** The words on the button, where there is a link. */
  button?: string
  /** Whether it makes no sense without its link. */
  linkNeeded?: true
  /** What to do, or that nothing needs to be done, when it was somebody else. Makes sense without the button. */
  otherwise: (product: string) => string
}

const nothingToDo = 'If you did not ask for this, you need not do anything.'

const wordings: Record<MailKind, Wording> = {
  'verify-email': {
    subject: (product) => `Confirm your e-mail address for ${product}`,
    heading: 'Confirm your e-mail address',
    said: (product) => `Somebody registered at ${product} with this e-mail address. If it was you, please confirm it.`,
    button: 'Confirm the address',
    linkNeeded: true,
    otherwise: () => `${nothingToDo} Without your confirmation the address stays unconfirmed.`,
  },
  'reset-password': {
    subject: (product) => `Reset your password at ${product}`,
    heading: 'Reset your password',
    said: (product) =>
      `Somebody asked to reset the password of your account at ${product}. If it was you, choose a new one.`,
    button: 'Choose a new password',
    linkNeeded: true,
    otherwise: () => `${nothingToDo} Your password stays as it is. Do not pass the link on to anybody.`,
  },
  'set-password': {
    subject: (product) => `Choose a password for ${product}`,
    heading: 'Choose a password',
    said: (product) => `An account was made for you at ${product}. Choose a password to use it.`,
    button: 'Choose a password',
    linkNeeded: true,
    otherwise: () => 'If you do not expect this, you need not do anything. Do not pass the link on to anybody.',
  },
  'email-taken': {
    subject: (product) => `You already have an account at ${product}`,
    heading: 'You already have an account',
    said: (product) =>
      `Somebody tried to register at ${product} with this e-mail address, which has an account already. ` +
      'No second one was made. If it was you, log in as usual; if you have forgotten your password, reset it.',
    button: 'Reset the password',
    otherwise: () => `If it was not you, you need not do anything. Nothing about your account has changed.`,
  },
  'confirm-new-email': {
    subject: (product) => `Confirm your new e-mail address for ${product}`,
    heading: 'Confirm your new e-mail address',
    said: (product) =>
      `Somebody wants to use this e-mail address for their account at ${product}. If it is yours, please confirm it.`,
    button: 'Confirm the address',
    linkNeeded: true,
    otherwise: () => `${nothingToDo} Without your confirmation nothing changes.`,
  },
  'email-changed': {
    subject: (product) => `Your e-mail address at ${product} was changed`,
    heading: 'Your e-mail address was changed',
    said: (product, { newAddress }) =>
      `The e-mail address of your account at ${product} was changed${newAddress ? ` to ${newAddress}` : ''}. ` +
      'This is the last mail to the old one. If it was you, you need not do anything.',
    otherwise: (product) =>
      `If it was not you, somebody else may have your account: tell the people who run ${product} at once.`,
  },
  'password-changed': {
    subject: (product) => `Your password at ${product} was changed`,
    heading: 'Your password was changed',
    said: (product) =>
      `The password of your account at ${product} was changed, and you were signed out everywhere else. ` +
      'If it was you, you need not do anything.',
    button: 'Reset the password',
    otherwise: (product) =>
      `If it was not you, somebody knows your old password: go to ${product} at once, say that you have forgotten your ` +
      'password, and choose a new one.',
  },
  'password-reset': {
    subject: (product) => `Your password at ${product} was reset`,
    heading: 'Your password was reset',
    said: (product) =>
      `The password of your account at ${product} was reset with a link from a mail, and you were signed out ` +
      'everywhere. If it was you, log in with the new password.',
    button: 'Reset the password',
    otherwise: (product) =>
      'If it was not you, somebody can read your mail: change the password of your mailbox first. ' +
      `Then go to ${product}, say that you have forgotten your password, and choose a new one.`,
  },
  'refresh-token-reused': {
    subject: (product) => `You were signed out of a device at ${product} for safety`,
    heading: 'You were signed out of a device for safety',
    said: (product) =>
      `Your sign-in at ${product} on one device was used from two places at once, as if it had been copied. ` +
      'So it was ended: log in again on that device. You stay signed in on all others.',
    button: 'Reset the password',
    otherwise: () =>
      'If this surprises you, look at where you are signed in, sign out what you do not know, and change your password.',
  },
  'new-device': {
    subject: (product) => `New sign-in to your account at ${product}`,
    heading: 'New sign-in to your account',
    said: (product) =>
      `Somebody logged in to your account at ${product} from a device that was not used before. ` +
      'If it was you, you need not do anything.',
    button: 'Reset the password',
    otherwise: (product) =>
      `If it was not you, somebody knows your password: go to ${product} at once, say that you have forgotten your ` +
      'password, and choose a new one. That signs everybody out.',
  },
}

/** Whether a mail of this kind makes no sense without its link. */
export const needsLink = (kind: MailKind): boolean => wordings[kind].linkNeeded ?? false

/**
 * Writes a mail.
 *
 * @param product what the service calls itself
 * @param url where its button leads; without one there is no button
 */
export function writeLetter(
  kind: MailKind,
  { product, facts, url }: { product: string; facts: MailFacts; url?: string | undefined },
): Letter {
  const wording = wordings[kind]
  const subject = oneLine(wording.subject(product))
  const said = oneLine(wording.said(product, facts))
  const otherwise = oneLine(wording.otherwise(product))
  const details = detailsOf(facts)
  const link = url !== undefined && wording.button !== undefined ? { label: wording.button, url } : undefined
  const signature = oneLine(`This mail was sent by ${product}. Nobody reads replies to it.`)

  const text = [
    said,
    details.map(([name, value]) => `${name}: ${value}`).join('\n'),
    link && `${link.label}:\n${link.url}`,
    otherwise,
    `-- \n${signature}`,
  ]
  const html = [
    paragraph(escapeHtml(said)),
    details.length > 0 && table(details),
    link && button(link),
    paragraph(escapeHtml(otherwise)),
    link && address(link),
  ]
  return {
    subject,
    text: `${text.filter(Boolean).join('\n\n')}\n`,
    html: page({
      title: subject,
      product: oneLine(product),
      heading: wording.heading,
      body: html.filter(Boolean).join('\n'),
      signature,
    }),
  }
}

function detailsOf({ at, deviceName, networkAddress }: MailFacts): [name: string, value: string][] {
  return [
    ...(at ? [['When', formatted(new Date(at))] as [string, string]] : []),
    ...(deviceName ? [['Device', plainWords(deviceName)] as [string, string]] : []),
    ...(networkAddress ? [['IP address', oneLine(networkAddress)] as [string, string]] : []),
  ]
}

const formatted = (at: Date) =>
  `${at.toLocaleString('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })} UTC`

const wordsMax = 100
/** More marks on one letter than any language has: they would cover the lines above and below. */
const towers = /(?<marks>\p{M}{4})\p{M}+/gu

/**
 * What strangers have written, without what a mail program would make a link of: whoever tries a stolen password names
 * their device, and must not be able to send its owner somewhere.
 */
function plainWords(text: string): string {
  const words = text
    .replaceAll(/(?<!\d)\.|\.(?!\d)|[^\p{L}\p{M}\p{N}\p{Zs}.,;/()'’&+_-]/gu, ' ')
    .replaceAll(towers, '$<marks>')
  return oneLine(words).slice(0, wordsMax)
}

/** One line: no line break, and no other control character, can come into a header or begin a paragraph. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
}

export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replaceAll(/[&<>"']/g, (character) => entities[character]!)
}

const paragraph = (html: string) => `<p style="margin:0 0 24px">${html}</p>`

/** Tables, because that is what every mail program lays out; the attributes are for those that ignore the style. */
const tableStart = 'table role="presentation" cellpadding="0" cellspacing="0" border="0"'

/** Paler than the text, in light and in dark. */
const pale = 'opacity:0.75'
const line = 'solid rgba(128,128,128,0.4)'
/** White is readable on it, and it stands out from white and from black. */
const accent = '#2563eb'

/** What strangers have written has a cell of its own, and a direction of its own. */
function table(details: [name: string, value: string][]): string {
  const rows = details.map(
    ([name, value]) =>
      `<tr><td width="104" valign="top" style="padding:6px 0 6px 16px;${pale}">${name}</td>` +
      `<td valign="top" align="left" dir="auto" style="padding:6px 16px 6px 0">${escapeHtml(value)}</td></tr>`,
  )
  return (
    `<${tableStart} width="100%" style="table-layout:fixed;margin:0 0 24px;padding:10px 0;border-radius:8px;` +
    `background-color:rgba(128,128,128,0.12);font-size:15px;line-height:22px">\n${rows.join('\n')}\n</table>`
  )
}

function button({ label, url }: { label: string; url: string }): string {
  return (
    `<${tableStart} style="margin:0 0 24px"><tr>` +
    `<td bgcolor="${accent}" style="border-radius:8px;background-color:${accent};mso-padding-alt:12px 28px">` +
    `<a href="${escapeHtml(url)}" style="display:inline-block;padding:12px 28px;border-radius:8px;color:#ffffff;` +
    `font-weight:bold;text-decoration:none">${escapeHtml(label)}</a></td></tr></table>`
  )
}

function address({ url }: { url: string }): string {
  const shown = escapeHtml(url)
  return (
    `<p style="margin:0 0 24px;font-size:13px;line-height:20px;${pale}">If the button does not work, open this address:<br>` +
    `<a href="${shown}" style="color:inherit;word-break:break-all">${shown}</a></p>`
  )
}

/** Sets no colour of text or ground, so that it is readable in light and in dark. */
function page({
  title,
  product,
  heading,
  body,
  signature,
}: {
  title: string
  product: string
  heading: string
  body: string
  signature: string
}): string {
  return `<!doctype html>
<html lang="en" style="color-scheme:light dark">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${escapeHtml(title)}</title>
</head>
<body style="margin:0;padding:0;font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;font-size:16px;line-height:24px;overflow-wrap:break-word;word-break:break-word">
<${tableStart} width="100%" style="table-layout:fixed"><tr><td align="center" style="padding:24px 12px">
<${tableStart} width="100%" style="table-layout:fixed;max-width:560px;text-align:left">
<tr><td style="padding:0 24px 16px;font-size:20px;line-height:28px;font-weight:bold">${escapeHtml(product)}</td></tr>
<tr><td style="padding:28px 24px 4px;border:1px ${line};border-top:4px solid ${accent};border-radius:8px">
<h1 style="margin:0 0 16px;font-size:24px;line-height:32px;font-weight:bold">${escapeHtml(heading)}</h1>
${body}
</td></tr>
<tr><td style="padding:16px 24px 0;font-size:13px;line-height:20px"><div style="${pale}">${escapeHtml(signature)}</div></td></tr>
</table>
</td></tr></table>
</body>
</html>
`
}
