import { expect } from 'chai'
import type { Knex } from 'knex'
import { routes } from '../../src/http/index.ts'
import type { Answer, ApiClient, Tokens } from './client.ts'
import { basicOf } from './command-line.ts'
import { eventually } from './eventually.ts'
import type { NamedRequest } from './faults.ts'
import { readMails, subjects, tokenIn } from './mailbox.ts'
import { aPerson, aSession, password, uniqueEmail, type Someone } from './people.ts'
import type { SmtpSink } from './smtp.ts'

/** Who asks, in the tests that ask for everything there is. */
export interface Cast {
  /** Signed in twice; nothing that is asked in vain may take that away. */
  keeper: Someone
  other: Tokens
  /** Somebody with a link to reset their password, and the link. A reset that fails may sign them out. */
  forgetful: Someone
  resetToken: string
  /** Confirms the address of the keeper. */
  verificationToken: string
  admin: Someone
  /** A service that may introspect. */
  authorization: string
}

export async function aCast(client: ApiClient, { database, smtp }: { database: Knex; smtp: SmtpSink }): Promise<Cast> {
  const [keeper, forgetful, admin] = [await aPerson(client), await aPerson(client), await aPerson(client)]
  await database('users').where({ id: admin.id }).update({ role: 'admin' })
  const made = await client.post('/v1/admin/service-clients', {
    token: admin.tokens.access_token,
    body: { name: 'orders' },
  })
  expect(made.status, made.text).to.equal(201)
  const { mailTo, aResetToken } = readMails(smtp)
  const cast: Cast = {
    keeper,
    other: await aSession(client, keeper),
    forgetful,
    resetToken: await aResetToken(client, forgetful),
    verificationToken: tokenIn(await mailTo(keeper.email, subjects.verify)),
    admin,
    authorization: basicOf(made.body.id as string, made.body.secret as string),
  }
  await eventually(async () => expect((await introspect(client, cast, keeper.tokens)).status).to.equal(200))
  return cast
}

export function introspect(client: ApiClient, { authorization }: Pick<Cast, 'authorization'>, tokens: Tokens) {
  return client.post('/oauth/introspect', { form: { token: tokens.access_token }, headers: { authorization } })
}

export function gateway(client: ApiClient, { access_token: token }: Tokens): Promise<Answer> {
  return client.get('/forward-auth', token)
}

/** Everything that only asks who somebody is or what sessions they have, and needs no PostgreSQL for that. */
export function checks(client: ApiClient, cast: Cast): NamedRequest[] {
  const { access_token: token, session } = cast.keeper.tokens
  return [
    ['get /v1/protected', () => client.protected(token)],
    ['any /forward-auth', () => gateway(client, cast.keeper.tokens)],
    ['any /forward-auth/{*path}', () => client.post('/forward-auth/orders/7', { token })],
    ['post /oauth/introspect', () => introspect(client, cast, cast.keeper.tokens)],
    ['get /v1/sessions', () => client.sessions(token)],
    ['get /v1/sessions/current', () => client.get('/v1/sessions/current', token)],
    ['get /v1/sessions/:id', () => client.get(`/v1/sessions/${session.id}`, token)],
    [
      'patch /v1/sessions/:id',
      () => client.call('PATCH', `/v1/sessions/${session.id}`, { token, body: { device_name: 'lamp' } }),
    ],
  ]
}

/** Everything that needs PostgreSQL as well, and ends no session if that is away. */
export function works(client: ApiClient, { keeper, resetToken, verificationToken, admin }: Cast): NamedRequest[] {
  const { email, tokens } = keeper
  const token = tokens.access_token
  const byAdmin = { token: admin.tokens.access_token }
  const user = `/v1/admin/users/${keeper.id}`
  const forgot = (address: string) => client.post('/v1/auth/forgot-password', { body: { email: address } })
  const another = 'a quite different sentence'
  return [
    ['post /v1/auth/register', () => client.register({ email: uniqueEmail(), password })],
    ['post /v1/auth/register (taken)', () => client.register({ email, password })],
    ['post /v1/auth/login', () => client.login({ email, password })],
    ['post /v1/auth/login (wrong password)', () => client.login({ email, password: 'not the password' })],
    ['post /v1/auth/login (unknown address)', () => client.login({ email: uniqueEmail(), password })],
    ['post /v1/auth/refresh', () => client.refresh(tokens.refresh_token)],
    ['post /v1/auth/tokens', () => client.post('/v1/auth/tokens', { token })],
    ['post /v1/auth/forgot-password', () => forgot(email)],
    ['post /v1/auth/forgot-password (unknown address)', () => forgot(uniqueEmail())],
    [
      'post /v1/auth/reset-password',
      () => client.post('/v1/auth/reset-password', { body: { token: resetToken, new_password: another } }),
    ],
    [
      'post /v1/auth/reset-password (unknown link)',
      () => client.post('/v1/auth/reset-password', { body: { token: 'x'.repeat(43), new_password: another } }),
    ],
    ['post /v1/auth/verify-email', () => client.post('/v1/auth/verify-email', { body: { token: verificationToken } })],
    ['post /v1/auth/resend-verification', () => client.post('/v1/auth/resend-verification', { body: { email } })],
    ['get /v1/me', () => client.me(token)],
    ['patch /v1/me', () => client.call('PATCH', '/v1/me', { token, body: { name: 'Ada' } })],
    [
      'put /v1/me',
      () => client.call('PUT', '/v1/me', { token, body: { email: uniqueEmail(), current_password: password } }),
    ],
    ['get /v1/me/activity', () => client.get('/v1/me/activity', token)],
    [
      'post /v1/me/password',
      () => client.post('/v1/me/password', { token, body: { current_password: password, new_password: another } }),
    ],
    ['delete /v1/me', () => client.call('DELETE', '/v1/me', { token, body: { current_password: password } })],
    ['get /v1/admin/users', () => client.call('GET', '/v1/admin/users', byAdmin)],
    ['post /v1/admin/users', () => client.post('/v1/admin/users', { ...byAdmin, body: { email: uniqueEmail() } })],
    ['get /v1/admin/users/:user_id', () => client.call('GET', user, byAdmin)],
    ['patch /v1/admin/users/:user_id', () => client.call('PATCH', user, { ...byAdmin, body: { role: 'admin' } })],
    ['delete /v1/admin/users/:user_id', () => client.call('DELETE', user, byAdmin)],
    ['post /v1/admin/users/:user_id/disable', () => client.post(`${user}/disable`, byAdmin)],
    ['post /v1/admin/users/:user_id/enable', () => client.post(`${user}/enable`, byAdmin)],
    ['post /v1/admin/users/:user_id/password-reset', () => client.post(`${user}/password-reset`, byAdmin)],
    ['get /v1/admin/users/:user_id/sessions', () => client.call('GET', `${user}/sessions`, byAdmin)],
    ['get /v1/admin/audit', () => client.call('GET', '/v1/admin/audit', byAdmin)],
    ['get /v1/admin/settings', () => client.call('GET', '/v1/admin/settings', byAdmin)],
    [
      'patch /v1/admin/settings',
      () => client.call('PATCH', '/v1/admin/settings', { ...byAdmin, body: { password_min_length: 9 } }),
    ],
    ['get /v1/admin/service-clients', () => client.call('GET', '/v1/admin/service-clients', byAdmin)],
    [
      'post /v1/admin/service-clients',
      () => client.post('/v1/admin/service-clients', { ...byAdmin, body: { name: 'invoices' } }),
    ],
    [
      'delete /v1/admin/service-clients/:id',
      () => client.call('DELETE', `/v1/admin/service-clients/${keeper.id}`, byAdmin),
    ],
  ]
}

/** A request that ends a session of somebody who has no other use. */
export interface Leaving {
  name: string
  /** Signed in twice; it comes with the first session. */
  leaver: Someone
  other: Tokens
  ask: () => Promise<Answer>
  /** Which of the two it is about, by the access tokens. */
  ends: Tokens[]
}

type LeavingRequest = (
  who: { leaver: Someone; other: Tokens },
  client: ApiClient,
  cast: Cast,
) => { ask: () => Promise<Answer>; ends: Tokens[] }

const leavingRequests: Record<string, LeavingRequest> = {
  'post /v1/auth/logout': ({ leaver: { tokens } }, client) => ({
    ask: () => client.logout(tokens.access_token),
    ends: [tokens],
  }),
  'post /v1/auth/logout (refresh token)': ({ leaver: { tokens } }, client) => ({
    ask: () => client.post('/v1/auth/logout', { body: { refresh_token: tokens.refresh_token } }),
    ends: [tokens],
  }),
  'post /v1/auth/logout-all': ({ leaver: { tokens }, other }, client) => ({
    ask: () => client.logoutAll(tokens.access_token),
    ends: [tokens, other],
  }),
  'post /oauth/revoke': ({ leaver: { tokens } }, client) => ({
    ask: () => client.post('/oauth/revoke', { form: { token: tokens.refresh_token } }),
    ends: [tokens],
  }),
  'delete /v1/sessions/:id': ({ leaver: { tokens }, other }, client) => ({
    ask: () => client.call('DELETE', `/v1/sessions/${other.session.id}`, { token: tokens.access_token }),
    ends: [other],
  }),
  'post /v1/sessions/revoke-others': ({ leaver: { tokens }, other }, client) => ({
    ask: () => client.post('/v1/sessions/revoke-others', { token: tokens.access_token }),
    ends: [other],
  }),
  'delete /v1/admin/users/:user_id/sessions': ({ leaver, other }, client, { admin }) => ({
    ask: () => client.call('DELETE', `/v1/admin/users/${leaver.id}/sessions`, { token: admin.tokens.access_token }),
    ends: [leaver.tokens, other],
  }),
  'delete /v1/admin/sessions/:user_id/:session_id': ({ leaver, other }, client, { admin }) => ({
    ask: () =>
      client.call('DELETE', `/v1/admin/sessions/${leaver.id}/${other.session.id}`, {
        token: admin.tokens.access_token,
      }),
    ends: [other],
  }),
}

/** Every way to end sessions, each of somebody new. */
export async function leavings(client: ApiClient, cast: Cast): Promise<Leaving[]> {
  return Promise.all(
    Object.entries(leavingRequests).map(async ([name, request]) => {
      const leaver = await aPerson(client)
      const who = { leaver, other: await aSession(client, leaver) }
      return Object.assign(who, request(who, client, cast), { name })
    }),
  )
}

/** It says of itself what is missing, in an answer that has more than the others. */
const readiness = '/health/ready'

/** Holds what was asked against the declared routes: a new one must be asked as well. */
export function expectEveryRoute(names: string[]): void {
  const declared = routes
    .filter(({ needsNoStore, path }) => !needsNoStore && path !== readiness)
    .map(({ method, path }) => `${method} ${path}`)
  expect(new Set(names.map((name) => name.replace(/ \(.*\)$/, '')))).to.deep.equal(new Set(declared))
}
