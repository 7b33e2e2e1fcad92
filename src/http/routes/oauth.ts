import { AppError } from '../../errors.ts'
import { identityOf } from '../identity.ts'
import { defineRoute, reply } from '../route.ts'
import * as schemas from '../schemas.ts'

/** What services that speak OAuth find here: asking about a token and revoking one. Tokens are issued elsewhere. */

const secondsOf = (ms: number) => Math.floor(ms / 1000)

/**
 * RFC 7662. Active is what /v1/me would let in at this moment, and nothing else: a refresh token is no access token, and
 * a service that looks at \`active\` alone must not take it for one.
 */
export const introspect = defineRoute({
  method: 'post',
  path: '/oauth/introspect',
  summary: 'Say whether an access token is live, and whose it is (RFC 7662)',
  auth: 'client',
  dialect: 'oauth',
  body: schemas.TokenForm,
  replies: { 200: schemas.Introspection },
  problems: [],
  async handle({ body: { token } }, services) {
    const checked = await services.sessions.check(token)
    if (checked.kind !== 'live') return reply(200, { active: false })
    const { session, card, issuedAt, expiresAt } = checked
    const { userId, id: sessionId, createdAt } = session
    const identity = card ?? (await identityOf({ userId }, services).catch(nobody))
    if (!identity) return reply(200, { active: false })
    const { username, email, verified, role } = identity
    return reply(200, {
      active: true,
      sub: userId,
      sid: sessionId,
      username: username ?? undefined,
      email,
      email_verified: verified,
      role,
      token_type: 'Bearer',
      iat: secondsOf(issuedAt),
      exp: secondsOf(expiresAt),
      auth_time: secondsOf(createdAt),
      iss: services.publicUrl,
    })
  },
})

/** An account that is gone has no live token. */
function nobody(error: unknown): null {
  if (error instanceof AppError && error.code === 'invalid-token') return null
  throw error
}

/** RFC 7009. Whoever holds a token may revoke it, so nobody is asked who they are. */
export const revokeToken = defineRoute({
  method: 'post',
  path: '/oauth/revoke',
  summary: 'End the session of an access or refresh token (RFC 7009)',
  auth: 'none',
  dialect: 'oauth',
  body: schemas.TokenForm,
  replies: { 200: schemas.Nothing },
  problems: [],
  async handle({ body: { token }, client }, { accounts }) {
    await accounts.revokeToken(token, client)
    return reply(200, null)
  },
})

/** RFC 8414. There is no authorization and no token endpoint: people log in at /v1/auth/login, which is not OAuth. */
export const showMetadata = defineRoute({
  method: 'get',
  path: '/.well-known/oauth-authorization-server',
  summary: 'Say where the OAuth endpoints are (RFC 8414)',
  auth: 'none',
  replies: { 200: schemas.ServerMetadata },
  needsNoStore: true,
  problems: [],
  handle: async (_request, { publicUrl }) =>
    reply(200, {
      issuer: publicUrl,
      introspection_endpoint: `${publicUrl}/oauth/introspect`,
      introspection_endpoint_auth_methods_supported: ['client_secret_basic'],
      revocation_endpoint: `${publicUrl}/oauth/revoke`,
      revocation_endpoint_auth_methods_supported: ['none'],
      response_types_supported: [],
      grant_types_supported: [],
    }),
})
