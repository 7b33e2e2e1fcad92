/** oidc-provider with an adapter for Redis, asked about opaque access tokens at its introspection endpoint (RFC 7662). */
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { Provider } from 'oidc-provider'
import { listen } from './listen.mjs'

const redis = new Redis(process.env.REDIS_URL)

/** What is asked here of the adapter that its documentation describes. */
class RedisAdapter {
  constructor(model) {
    this.key = (id) => `oidc:${model}:${id}`
  }

  async upsert(id, payload, expiresInSeconds) {
    await redis.set(this.key(id), JSON.stringify(payload), 'EX', expiresInSeconds)
  }

  async find(id) {
    return JSON.parse(await redis.get(this.key(id))) ?? undefined
  }
}

const clientId = 'bench'
const clientSecret = randomUUID()
const provider = new Provider('http://127.0.0.1', {
  adapter: RedisAdapter,
  clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: ['https://client.example/callback'] }],
  cookies: { keys: [randomUUID()] },
  features: { devInteractions: { enabled: false }, introspection: { enabled: true } },
})

/** What the authorization code flow leaves when somebody has logged in. */
async function issueToken(accountId) {
  const client = await provider.Client.find(clientId)
  const grant = new provider.Grant({ accountId, clientId })
  grant.addOIDCScope('openid email')
  const grantId = await grant.save()
  const token = new provider.AccessToken({
    accountId,
    client,
    grantId,
    gty: 'authorization_code',
    scope: 'openid email',
  })
  return { token: await token.save(), clientId, clientSecret }
}

const answer = provider.callback()
listen((request, response) => {
  if (!request.url.startsWith('/login?')) answer(request, response)
  else
    issueToken(new URLSearchParams(request.url.slice('/login?'.length)).get('email')).then(
      (issued) => response.end(JSON.stringify(issued)),
      (error) => response.writeHead(500).end(String(error)),
    )
})
