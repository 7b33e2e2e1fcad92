import { identityOf } from '../identity.ts'
import { defineRoute, reply } from '../route.ts'
import * as schemas from '../schemas.ts'

/**
 * The answer of the token check as a gateway wants it: a status, and headers to pass on to the application.
 *
 * Every header is there, empty where there is nothing to say: a gateway that sets each of them from here leaves none
 * that a client has forged.
 */
function forwardAuthAt(path: string, summary: string) {
  return defineRoute({
    method: 'any',
    path,
    summary,
    auth: 'bearer',
    replies: { 200: schemas.Nothing },
    headers: {
      'X-Auth-User': 'The id of the person.',
      'X-Auth-Email': 'Their e-mail address.',
      'X-Auth-Email-Verified': 'Whether they have confirmed it: `true` or `false`.',
      'X-Auth-Username': 'Their username, or nothing.',
      'X-Auth-Role': '`user` or `admin`.',
      'X-Auth-Session': 'The id of the session.',
    },
    problems: [],
    async handle({ caller }, services) {
      const { username, email, verified, role } = caller.card ?? (await identityOf(caller, services))
      return reply(200, null, {
        'X-Auth-User': caller.userId,
        'X-Auth-Email': email,
        'X-Auth-Email-Verified': verified ? 'true' : 'false',
        'X-Auth-Username': username ?? '',
        'X-Auth-Role': role,
        'X-Auth-Session': caller.sessionId,
      })
    },
  })
}

export const forwardAuth = forwardAuthAt(
  '/forward-auth',
  'Check the access token for a gateway; tells who it is in headers',
)
export const forwardAuthBelow = forwardAuthAt(
  '/forward-auth/{*path}',
  'The same, for gateways that append the path of the original request',
)
