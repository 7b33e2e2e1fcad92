/**
 * What may be tuned while lives are at stake, with bounds. Names carry their unit; `SETTING_<NAME>` gives the value.
 */
export const settingDefinitions = {
  access_token_ttl_seconds: {
    initial: 900,
    min: 1,
    max: 86_400,
    meaning: 'How long an access token lives.',
  },
  session_idle_ttl_seconds: {
    initial: 604_800,
    min: 1,
    max: 31_536_000,
    meaning: 'How long a session lives after its last refresh.',
  },
  session_absolute_ttl_seconds: {
    initial: 2_592_000,
    min: 1,
    max: 31_536_000,
    meaning: 'How long a session lives in all; nothing moves it.',
  },
  refresh_grace_seconds: {
    initial: 30,
    min: 0,
    max: 300,
    meaning: 'How long a retried refresh gets the same pair again; 0 switches that off.',
  },
  refresh_reuse_window_seconds: {
    initial: 86_400,
    min: 300,
    max: 604_800,
    meaning: 'How long a spent refresh token is remembered, so that its reuse ends the session.',
  },
  sessions_per_user_max: {
    initial: 50,
    min: 1,
    max: 1_000,
    meaning: 'How many sessions one person may have; a further login ends the one unused for longest.',
  },
  reset_token_ttl_seconds: {
    initial: 1_800,
    min: 300,
    max: 3_600,
    meaning: 'How long the link in a reset mail works.',
  },
  verification_token_ttl_seconds: {
    initial: 86_400,
    min: 3_600,
    max: 86_400,
    meaning: 'How long the link that confirms an address works.',
  },
  password_min_length: {
    initial: 8,
    min: 8,
    max: 64,
    meaning: 'The fewest characters (code points) of a new password; 15 is recommended.',
  },
  wrong_passwords_max: {
    initial: 10,
    min: 1,
    max: 100,
    meaning: 'How many wrong passwords one account takes in a window; then none is checked until it ends.',
  },
  wrong_passwords_window_seconds: {
    initial: 900,
    min: 1,
    max: 86_400,
    meaning: 'How long the window of wrong passwords is, from the first one.',
  },
  logins_per_address_max: {
    initial: 30,
    min: 1,
    max: 1_000_000,
    meaning: 'How many logins, right or wrong, one client address may try in a window.',
  },
  logins_per_address_window_seconds: {
    initial: 60,
    min: 1,
    max: 86_400,
    meaning: 'How long the window of logins is.',
  },
  registrations_per_address_max: {
    initial: 20,
    min: 1,
    max: 1_000_000,
    meaning: 'How many registrations one client address may try in a window.',
  },
  registrations_per_address_window_seconds: {
    initial: 3_600,
    min: 1,
    max: 86_400,
    meaning: 'How long the window of registrations is.',
  },
  wrong_tokens_per_address_max: {
    initial: 100,
    min: 1,
    max: 1_000_000,
    meaning: 'How many tokens that are not known one client address may send in a window; good ones are not counted.',
  },
  wrong_tokens_per_address_window_seconds: {
    initial: 60,
    min: 1,
    max: 86_400,
    meaning: 'How long the window of wrong tokens is.',
  },
  mails_per_person_max: {
    initial: 5,
    min: 1,
    max: 1_000,
    meaning: 'How many mails that anybody can ask for are sent to one person in a window.',
  },
  mails_per_person_window_seconds: {
    initial: 3_600,
    min: 1,
    max: 86_400,
    meaning: 'How long the window of mails is.',
  },
} as const satisfies Record<string, { initial: number; min: number; max: number; meaning: string }>

export type SettingName = keyof typeof settingDefinitions
export type Settings = Readonly<Record<SettingName, number>>
