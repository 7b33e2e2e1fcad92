/** What is limited, by the name that its keys carry. How often, and in which window, are settings. */
export type RuleName = 'wrong-passwords' | 'logins' | 'registrations' | 'wrong-tokens' | 'mail-requests' | 'mails'

/** So many points may be spent from the first one until the window ends; then all of them are there again. */
export interface Rule {
  points: number
  windowSeconds: number
}
