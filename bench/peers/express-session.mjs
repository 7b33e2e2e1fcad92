/** express, express-session with connect-redis, and passport with the person in the session. */
import { randomUUID } from 'node:crypto'
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import passport from 'passport'
import { createClient } from 'redis'
import { listen } from './listen.mjs'

const client = await createClient({ url: process.env.REDIS_URL }).connect()
passport.serializeUser((user, done) => done(null, user))
passport.deserializeUser((user, done) => done(null, user))

const app = express()
app.use(
  session({
    store: new RedisStore({ client }),
    secret: randomUUID(),
    resave: false,
    saveUninitialized: false,
  }),
)
app.use(passport.session())
app.post('/login', (request, response, next) => {
  request.login({ id: randomUUID(), email: request.query.email }, (error) =>
    error ? next(error) : response.sendStatus(204),
  )
})
app.get('/me', (request, response) => {
  if (request.isAuthenticated()) response.json(request.user)
  else response.sendStatus(401)
})
listen(app)
