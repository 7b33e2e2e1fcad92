/** koa and koa-session, with the session in Redis through its `store` option. */
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import Koa from 'koa'
import session from 'koa-session'
import { listen } from './listen.mjs'

const redis = new Redis(process.env.REDIS_URL)
const store = {
  get: async (key) => JSON.parse(await redis.get(key)),
  set: (key, value, maxAgeMs) => redis.set(key, JSON.stringify(value), 'PX', maxAgeMs),
  destroy: (key) => redis.del(key),
}

const app = new Koa()
app.keys = [randomUUID()]
app.use(session({ store }, app))
app.use((ctx) => {
  if (ctx.method === 'POST') {
    ctx.session.user = { id: randomUUID(), email: ctx.query.email }
    ctx.status = 204
  } else if (ctx.session.user) ctx.body = ctx.session.user
  else ctx.status = 401
})
listen(app.callback())
