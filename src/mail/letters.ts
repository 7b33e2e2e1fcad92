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
  /** What happened. */
  said: (product: string, facts: MailFacts) => string
  /** The words on the button, where there is a link. */
  button?: string
  /** Whether it makes no sense without its link. */
  linkNeeded?: true
  /** What to do, or that nothing needs to be done, when it was somebody else. */
  otherwise: string
}

const nothingToDo = 'If you did not ask for this, you need not do anything.'

const wordings: Record<MailKind, Wording> = {
  'verify-email': {
    subject: (product) => `Confirm your e-mail address for ${product}`,
    said: (product) => `Somebody registered at ${product} with this e-mail address. If it was you, please confirm it.`,
    button: 'Confirm the address',
    linkNeeded: true,
    otherwise: `${nothingToDo} Without your confirmation the address stays unconfirmed.`,
  },
  'reset-password': {
    subject: (product) => `Reset your password at ${product}`,
    said: (product) => `Somebody asked to reset the password of your account at ${product}.`,
    button: 'Choose a new password',
    linkNeeded: true,
    otherwise: `${nothingToDo} Your password stays as it is. Do not pass the link on to anybody.`,
  },
  'set-password': {
    subject: (product) => `Choose a password for ${product}`,
    said: (product) => `An account was made for you at ${product}. Choose a password to use it.`,
    button: 'Choose a password',
    linkNeeded: true,
    otherwise: 'If you do not expect this, you need not do anything. Do not pass the link on to anybody.',
  },
  'email-taken': {
    subject: (product) => `You already have an account at ${product}`,
    said: (product) =>
      `Somebody tried to register at ${product} with this e-mail address, which has an account already. ` +
      'No second one was made. If it was you, log in as usual; if you have forgotten your password, reset it.',
    button: 'Reset the password',
    otherwise: `If it was not you, you need not do anything. Nothing about your account has changed.`,
  },
  'confirm-new-email': {
    subject: (product) => `Confirm your new e-mail address for ${product}`,
    said: (product) =>
      `Somebody wants to use this e-mail address for their account at ${product}. If it is yours, please confirm it.`,
    button: 'Confirm the address',
    linkNeeded: true,
    otherwise: `${nothingToDo} Without your confirmation nothing changes.`,
  },
  'email-changed': {
    subject: (product) => `Your e-mail address at ${product} was changed`,
    said: (product, { newAddress }) =>
      `The e-mail address of your account at ${product} was changed${newAddress ? ` to ${newAddress}` : ''}. ` +
      'This is the last mail to the old one.',
    otherwise: 'If it was not you, somebody else may have your account: tell the people who run the service at once.',
  },
  'password-changed': {
    subject: (product) => `Your password at ${product} was changed`,
    said: (product) => `The password of your account at ${product} was changed. All other sessions were ended.`,
    button: 'Reset the password',
    otherwise: 'If it was not you, somebody knows your old password: reset it at once.',
  },
  'password-reset': {
    subject: (product) => `Your password at ${product} was reset`,
    said: (product) =>
      `The password of your account at ${product} was reset with a link from a mail. All sessions were ended.`,
    button: 'Reset the password',
    otherwise:
      'If it was not you, somebody can read your mail: change the password of your mailbox first, then reset this one.',
  },
  'refresh-token-reused': {
    subject: (product) => `A session of yours at ${product} was ended for safety`,
    said: (product) =>
      `A session of your account at ${product} was used from two places at once, as if it had been copied. ` +
      'It was ended. Log in again on that device; your other sessions stay open.',
    button: 'Reset the password',
    otherwise:
      'If this surprises you, look through your open sessions, end those you do not know, and change your password.',
  },
  'new-device': {
    subject: (product) => `New sign-in to your account at ${product}`,
    said: (product) => `Somebody logged in to your account at ${product} from a device that was not used before.`,
    button: 'Reset the password',
    otherwise: 'If it was not you, reset your password: that ends all sessions.',
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
  const details = detailsOf(facts)
  const link = url !== undefined && wording.button !== undefined ? { label: wording.button, url } : undefined
  const signature = oneLine(`This mail was sent by ${product}. Nobody reads answers to it.`)

  const text = [
    said,
    details.map(([name, value]) => `${name}: ${value}`).join('\n'),
    link && `${link.label}:\n${link.url}`,
    wording.otherwise,
    `-- \n${signature}`,
  ]
  const html = [
    paragraph(escapeHtml(said)),
    details.length > 0 && paragraph(details.map(([name, value]) => `${name}: ${escapeHtml(value)}`).join('<br>')),
    link && button(link),
    paragraph(escapeHtml(wording.otherwise)),
    `<p style="margin:32px 0 0;font-size:13px">${escapeHtml(signature)}</p>`,
  ]
  return {
    subject,
    text: `${text.filter(Boolean).join('\n\n')}\n`,
    html: page(subject, html.filter(Boolean).join('\n')),
  }
}

function detailsOf({ at, deviceName, networkAddress }: MailFacts): [name: string, value: string][] {
  return [
    ...(at ? [['When', formatted(new Date(at))] as [string, string]] : []),
    ...(deviceName ? [['Device', plainWords(deviceName)] as [string, string]] : []),
    ...(networkAddress ? [['Network address', oneLine(networkAddress)] as [string, string]] : []),
  ]
}

const formatted = (at: Date) =>
  `${at.toLocaleString('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })} UTC`

const wordsMax = 100

/**
 * What strangers have written, without what a mail program would make a link of: whoever tries a stolen password names
 * their device, and must not be able to send its owner somewhere.
 */
function plainWords(text: string): string {
  return oneLine(text.replaceAll(/(?<!\d)\.|\.(?!\d)|[^\p{L}\p{M}\p{N}\p{Zs}.,;/()'’&+_-]/gu, ' ')).slice(0, wordsMax)
}

/** One line: no line break, and no other control character, can come into a header or begin a paragraph. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
}

export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replaceAll(/[&<>"']/g, (character) => entities[character]!)
}

const paragraph = (html: string) => `<p style="margin:0 0 20px">${html}</p>`

function button({ label, url }: { label: string; url: string }): string {
  const address = escapeHtml(url)
  return [
    `<p style="margin:0 0 20px"><a href="${address}" style="display:inline-block;padding:12px 24px;border-radius:6px;` +
      `background-color:#1a56a8;color:#ffffff;font-weight:bold;text-decoration:none">${escapeHtml(label)}</a></p>`,
    `<p style="margin:0 0 20px;font-size:13px;word-break:break-all">If the button does not work, open this address: ` +
      `<a href="${address}" style="color:inherit">${address}</a></p>`,
  ].join('\n')
}

/** Sets no colour of text or ground, so that it is readable in light and in dark. */
function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en" style="color-scheme:light dark">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${escapeHtml(title)}</title>
</head>
<body style="margin:0;padding:24px;font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:16px;line-height:1.5">
<div style="max-width:560px;margin:0 auto">
${body}
</div>
</body>
</html>
`
}
