import type { Identifier } from '../../accounts/index.ts'
import { defineRoute, reply } from '../route.ts'
import * as schemas from '../schemas.ts'
import { tokenView } from '../views.ts'

export const register = defineRoute({
  method: 'post',
  path: '/v1/auth/register',
  summary: 'Register an account and open its first session',
  auth: 'none',
  body: schemas.RegisterBody,
  written: ({ email, username, name, device_name, password }) => ({
    email,
    username,
    name,
    deviceName: device_name,
    password,
  }),
  replies: { 201: schemas.TokenResponse, 202: schemas.MailPromised },
  headers: { Location: 'Where the account is, once it was created.' },
  problems: ['password-refused', 'registration-closed', 'email-taken', 'username-taken', 'too-many-attempts'],
  async handle({ body: { device_name, ...body }, client }, { accounts, clock }) {
    const signedIn = await accounts.register({ ...body, deviceName: device_name, client })
    if (!signedIn) return reply(202, { message: 'A mail is on its way. Open the link in it to go on.' })
    return reply(201, tokenView(signedIn, clock.now()), { Location: '/v1/me' })
  },
})

export const login = defineRoute({
  method: 'post',
  path: '/v1/auth/login',
  summary: 'Open a session with e-mail or username and password',
  auth: 'none',
  body: schemas.LoginBody,
  written: ({ device_name }) => ({ deviceName: device_name }),
  replies: { 200: schemas.TokenResponse },
  problems: ['invalid-credentials', 'email-unverified', 'too-many-attempts'],
  async handle({ body: { email, username, identifier, password, device_name }, client }, { accounts, clock }) {
    const name: Identifier =
      email !== undefined
        ? { kind: 'email', text: email }
        : username !== undefined
          ? { kind: 'username', text: username }
          : { kind: 'any', text: identifier! }
    const signedIn = await accounts.logIn({ identifier: name, password, deviceName: device_name, client })
    return reply(200, tokenView(signedIn, clock.now()))
  },
})

export const refresh = defineRoute({
  method: 'post',
  path: '/v1/auth/refresh',
  summary: 'Spend a refresh token for a new pair',
  auth: 'none',
  body: schemas.RefreshBody,
  replies: { 200: schemas.TokenResponse },
  headers: { 'Refresh-Replayed': '`true` when this is the pair that an earlier call with the same token was given.' },
  problems: ['invalid-refresh-token', 'too-many-attempts'],
  async handle({ body, client }, { accounts, clock }) {
    const { replayed, ...signedIn } = await accounts.refresh(body.refresh_token, client)
    return reply(200, tokenView(signedIn, clock.now()), replayed ? { 'Refresh-Replayed': 'true' } : undefined)
  },
})

export const logout = defineRoute({
  method: 'post',
  path: '/v1/auth/logout',
  summary: 'End the session of the access token, or of the refresh token in the body',
  auth: 'optional-bearer',
  body: schemas.LogoutBody,
  replies: { 204: schemas.Nothing },
  problems: ['authentication-required', 'invalid-token'],
  async handle({ body: { refresh_token }, caller, client }, { accounts }) {
    if (refresh_token !== undefined) await accounts.logOutByRefreshToken(refresh_token, client)
    if (!('refusal' in caller)) await accounts.logOut(caller)
    else {
      if (caller.ended) await accounts.confirmEnding(caller.ended)
      if (refresh_token === undefined) throw caller.refusal
    }
    return reply(204, null)
  },
})

export const logoutAll = defineRoute({
  method: 'post',
  path: '/v1/auth/logout-all',
  summary: 'End all sessions of the caller',
  auth: 'optional-bearer',
  replies: { 200: schemas.Revoked },
  problems: ['authentication-required', 'invalid-token'],
  async handle({ caller }, { accounts }) {
    if ('refusal' in caller) {
      if (caller.ended) await accounts.confirmEnding(caller.ended)
      throw caller.refusal
    }
    return reply(200, { revoked: await accounts.logOutEverywhere(caller) })
  },
})

export const tokens = defineRoute({
  method: 'post',
  path: '/v1/auth/tokens',
  summary: 'Replace the pair of the caller’s session; the old pair is dead at once',
  auth: 'bearer',
  replies: { 200: schemas.TokenResponse },
  problems: [],
  async handle({ caller }, { accounts, clock }) {
    return reply(200, tokenView(await accounts.replacePair(caller), clock.now()))
  },
})
