import { once } from 'node:events'
import net from 'node:net'
import PostalMime, { type Email } from 'postal-mime'
import { SMTPServer } from 'smtp-server'

/**
 * How a mail server may be. `slow` and `silent`: it accepts the connection and greets after a time, or never. `550`,
 * `451`: it refuses the recipient for good, or for now. `cut`: it takes the whole mail and then breaks the connection. `mute`: it takes
 * the whole mail and never says so.
 */
export type Behaviour = 'well' | 'slow' | 'silent' | '550' | '451' | 'cut' | 'mute'

export interface Received {
  to: string
  messageId: string
  subject: string
  text: string
  html: string
  email: Email
}

export type SmtpSink = Awaited<ReturnType<typeof startSmtp>>

const slowGreetingMs = 20_000

interface Demands {
  /** Its key and certificate, in PEM, and when it turns to TLS: before anything is said, or when STARTTLS asks for it. */
  tls?: { key: string; cert: string; from: 'start' | 'STARTTLS' }
  /** Whom alone it takes mails from; without TLS the password may come in the clear. */
  login?: { user: string; pass: string }
}

/** A mail server on a free port: it speaks real SMTP, keeps what it gets, and behaves as it is told. */
export async function startSmtp({ tls, login }: Demands = {}) {
  const received: Received[] = []
  const waiting = new Set<{ to: string; resolve: (mail: Received) => void }>()
  let behaviour: Behaviour = 'well'
  let server: SMTPServer | undefined
  let port = 0
  let connections = 0
  let mostAtOnce = 0
  const sockets = new Set<net.Socket>()
  const wire: Buffer[] = []
  let door: net.Server | undefined
  let behind = 0

  async function receive(to: string, raw: Buffer, done: () => void): Promise<void> {
    const email = await PostalMime.parse(raw)
    const mail: Received = {
      to,
      messageId: email.messageId ?? '',
      subject: email.subject ?? '',
      text: email.text ?? '',
      html: email.html ?? '',
      email,
    }
    received.push(mail)
    for (const waiter of waiting)
      if (waiter.to === to) {
        waiting.delete(waiter)
        waiter.resolve(mail)
      }
    if (behaviour === 'cut') for (const socket of sockets) socket.destroy()
    else if (behaviour !== 'mute') done()
  }

  /** The one that speaks SMTP; it stands behind a door that lets the test keep connections waiting, or cut them. */
  async function startServer(): Promise<void> {
    server = new SMTPServer({
      ...(tls && { key: tls.key, cert: tls.cert, secure: tls.from === 'start' }),
      authOptional: !login,
      allowInsecureAuth: !tls,
      disabledCommands: tls ? [] : ['STARTTLS'],
      disableReverseLookup: true,
      onAuth({ username, password }, _session, done) {
        if (username === login?.user && password === login?.pass) done(null, { user: username })
        else done(Object.assign(new Error(`5.7.8 <no such person as ${username}>`), { responseCode: 535 }))
      },
      onRcptTo(_address, _session, done) {
        if (behaviour !== '550' && behaviour !== '451') return done()
        const refusal = behaviour === '550' ? '5.1.1 <no such person>' : '4.2.2 <come again>'
        done(Object.assign(new Error(refusal), { responseCode: Number(behaviour) }))
      },
      onData(stream, session, done) {
        const chunks: Buffer[] = []
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        const to = session.envelope.rcptTo[0]?.address ?? ''
        stream.on('end', () => void receive(to, Buffer.concat(chunks), done))
      },
    })
    server.on('error', () => undefined)
    server.listen(0, '127.0.0.1')
    await once(server.server, 'listening')
    behind = (server.server.address() as net.AddressInfo).port
  }

  function onConnection(socket: net.Socket): void {
    connections += 1
    sockets.add(socket)
    mostAtOnce = Math.max(mostAtOnce, sockets.size)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
    if (behaviour === 'silent') return
    const enter = () => {
      const inner = net.connect(behind, '127.0.0.1')
      inner.on('error', () => socket.destroy())
      socket.once('close', () => inner.destroy())
      inner.once('close', () => socket.destroy())
      socket.on('data', (chunk: Buffer) => wire.push(chunk))
      socket.pipe(inner).pipe(socket)
    }
    if (behaviour !== 'slow') return enter()
    const timer = setTimeout(enter, slowGreetingMs)
    socket.once('close', () => clearTimeout(timer))
  }

  /** Opens, after close(), on the same port as before. */
  async function listen(): Promise<void> {
    door = net.createServer(onConnection)
    door.listen(port, '127.0.0.1')
    await once(door, 'listening')
    port = (door.address() as net.AddressInfo).port
  }

  async function close(): Promise<void> {
    if (!door) return
    const closed = once(door, 'close')
    door.close()
    door = undefined
    for (const socket of sockets) socket.destroy()
    await closed
  }

  await startServer()
  await listen()
  const url = `${tls?.from === 'start' ? 'smtps' : 'smtp'}://127.0.0.1:${port}`
  return {
    url,
    /** The variables of a service that sends its mails here. */
    env: {
      SMTP_URL: url,
      MAIL_FROM: 'Latchkey <latchkey@mail.example>',
      FRONTEND_URL: 'https://app.example',
    },
    received,
    /** How many connections there were so far, how many there are, and the most there were at once. */
    connections: () => ({ total: connections, open: sockets.size, mostAtOnce }),
    /** What all clients have sent so far, as anybody on the network between could read it. */
    overheard: () => Buffer.concat(wire).toString('latin1'),
    behave(next: Behaviour) {
      behaviour = next
    },
    /** The next mail to an address that arrives after this call. */
    nextMail: (to: string) => new Promise<Received>((resolve) => waiting.add({ to, resolve })),
    /** The mails to an address so far. */
    mailsTo: (to: string) => received.filter((mail) => mail.to === to),
    listen,
    close,
    async stop() {
      await close()
      await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()))
    },
  }
}
