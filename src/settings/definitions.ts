/**
 * What may be tuned while lives are at stake, with its type and bounds. Names carry their unit; `SETTING_<NAME>` gives
 * the start value.
 */
export const settingDefinitions = {
  access_token_ttl_seconds: {
    type: 'integer',
    initial: 900,
    min: 1,
    max: 86_400,
    meaning: 'How long an access token lives.',
  },
  session_idle_ttl_seconds: {
    type: 'integer',
    initial: 604_800,
    min: 1,
    max: 31_536_000,
    meaning: 'How long a session lives after its last refresh.',
  },
  session_absolute_ttl_seconds: {
    type: 'integer',
    initial: 2_592_000,
    min: 1,
    max: 31_536_000,
    meaning: 'How long a session lives in all; nothing moves it.',
  },
  refresh_grace_seconds: {
    type: 'integer',
    initial: 30,
    min: 0,
    max: 300,
    meaning: 'How long a retried refresh gets the same pair again; 0 switches that off.',
  },
  refresh_reuse_window_seconds: {
    type: 'integer',
    initial: 86_400,
    min: 300,
    max: 604_800,
    meaning: 'How long a spent refresh token is remembered, so that its reuse ends the session.',
  },
  sessions_per_user_max: {
    type: 'integer',
    initial: 50,
    min: 1,
    max: 1_000,
    meaning: 'How many sessions one person may have; a further login ends the one unused for longest.',
  },
  reset_token_ttl_seconds: {
    type: 'integer',
    initial: 1_800,
    min: 300,
    max: 3_600,
    meaning: 'How long the link in a reset mail works.',
  },
  verification_token_ttl_seconds: {
    type: 'integer',
    initial: 86_400,
    min: 3_600,
    max: 86_400,
    meaning: 'How long the link that confirms an address works.',
  },
  password_min_length: {
    type: 'integer',
    initial: 8,
    min: 8,
    max: 64,
    meaning: 'The fewest characters (code points) of a new password; 15 is recommended.',
  },
  wrong_passwords_max: {
    type: 'integer',
    initial: 10,
    min: 1,
    max: 100,
    meaning: 'How many wrong passwords one account takes in a window; then none is checked until it ends.',
  },
  wrong_passwords_window_seconds: {
    type: 'integer',
    initial: 900,
    min: 1,
    max: 86_400,
    meaning: 'How long the window of wrong passwords is, from the first one.',
  },
  logins_per_address_max: {
    type: 'integer',
    initial: 30,
    min: 1,
    max: 1_000_000,
    meaning: 'How many logins, right or wrong, one client address may try in a window.',
  },
  logins_per_address_window_seconds: {
    type: 'integer',
    initial: 60,
    min: 1,
    max: 86_400,
    meaning: 'How long the window of logins is.',
  },
  registrations_per_address_max: {
    type: 'integer',
    initial: 20,
    min: 1,
    max: 1_000_000,
    meaning: 'How many registrations one client address may try in a window.',
  },
  registrations_per_address_window_seconds: {
    type: 'integer',
    initial: 3_600,
    min: 1,
    max: 86_400,
    meaning: 'How long the window of registrations is.',
  },
  wrong_tokens_per_address_max: {
    type: 'integer',
    initial: 100,
    min: 1,
    max: 1_000_000,
    meaning: 'How many tokens that are not known one client address may send in a window; good ones are not counted.',
  },
  wrong_tokens_per_address_window_seconds: {
    type: 'integer',
    initial: 60,
    min: 1,
    max: 86_400,
    meaning: 'How long the window of wrong tokens is.',
  },
  mail_requests_per_address_max: {
    type: 'integer',
    initial: 30,
    min: 1,
    max: 1_000_000,
    meaning: 'How many mails one client address may ask for in a window, for whomever.',
  },
  mail_requests_per_address_window_seconds: {
    type: 'integer',
    initial: 3_600,
    min: 1,
    max: 86_400,
    meaning: 'How long the window of mail requests is.',
  },
  mails_per_person_max: {
    type: 'integer',
    initial: 5,
    min: 1,
    max: 1_000,
    meaning: 'How many mails that anybody can ask for are sent to one person in a window.',
  },
  mails_per_person_window_seconds: {
    type: 'integer',
    initial: 3_600,
    min: 1,
    max: 86_400,
    meaning: 'How long the window of mails is.',
  },
  sign_in_notices: {
    type: 'boolean',
    initial: true,
    meaning:
      'Whether people are told by mail of a login from a new device; each of them may switch it off for themselves.',
  },
  audit_retention_days: {
    type: 'integer',
    initial: 365,
    min: 1,
    max: 3_650,
    meaning: 'How long audit events are kept.',
  },
} as const satisfies Record<string, Definition>

type Definition =
  | { type: 'integer'; initial: number; min: number; max: number; meaning: string }
  | { type: 'boolean'; initial: boolean; meaning: string }

type Definitions = typeof settingDefinitions

export type SettingName = keyof Definitions
export type SettingValue = number | boolean
export type Settings = Readonly<{ [N in SettingName]: Definitions[N]['type'] extends 'integer' ? number : boolean }>

export const settingNames = Object.keys(settingDefinitions) as SettingName[]

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settingDefinitions, name)
}

/** What a value of a setting must be, as the end of a sentence that begins with its name. */
export function demandOf(name: SettingName): string {
  const definition: Definition = settingDefinitions[name]
  return definition.type === 'integer'
    ? `must be a whole number from ${definition.min} to ${definition.max}`
    : 'must be true or false'
}

/** Whether something is a value of a setting, of its very type and within its bounds; nothing is converted. */
export function isValueOf(name: SettingName, value: unknown): value is SettingValue {
  const definition: Definition = settingDefinitions[name]
  return definition.type === 'integer'
    ? Number.isInteger(value) && (value as number) >= definition.min && (value as number) <= definition.max
    : typeof value === 'boolean'
}
