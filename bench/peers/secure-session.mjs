/** fastify and @fastify/secure-session: the session is in the cookie, encrypted, and no store is asked. */
import { randomBytes, randomUUID } from 'node:crypto'
import secureSession from '@fastify/secure-session'
import Fastify from 'fastify'

const app = Fastify()
await app.register(secureSession, { key: randomBytes(32), cookie: { path: '/', httpOnly: true } })
app.post('/login', (request, reply) => {
  request.session.set('user', { id: randomUUID(), email: request.query.email })
  return reply.code(204).send()
})
app.get('/me', (request, reply) => request.session.get('user') ?? reply.code(401).send())
console.log(await app.listen({ host: '127.0.0.1', port: 0 }))
