/**
 * A crowd that logs in, a process of its own: how long others are seen to wait must not hang on how busy it is.
 *
 * It writes its requests to its connections itself. Node's client takes several times as long for each, and what it takes
 * is missing to the service, whose clients sit on other machines in earnest.
 */
import { connect, type Socket } from 'node:net'
import { atRate } from './lanes.ts'
import { password } from './people.ts'

export interface Storm {
  url: string
  emails: string[]
  /** How many come at once, and how many a second after that. */
  burst: number
  perSecond: number
  seconds: number
}

/** How a login was answered, and after how many milliseconds. */
export interface LoginAnswer {
  status: number
  ms: number
  hasRetryAfter: boolean
}

process.on('message', (storm: Storm) => {
  void logIn(storm).then((answers) => process.send!(answers))
})

async function logIn({ url, emails, burst, perSecond, seconds }: Storm): Promise<LoginAnswer[]> {
  const { host, hostname, port } = new URL(url)
  const requests = emails.map((email) => requestFor(host, JSON.stringify({ email, password })))
  const idle: Socket[] = []
  let turn = 0
  const logInOnce = async (): Promise<LoginAnswer> => {
    const startedAt = performance.now()
    // The one that has rested for longest, or the service would close it after a while, just when it is written to.
    const connection = idle.shift() ?? connect(Number(port), hostname).on('error', () => undefined) // 'close' follows
    const header = await answerOf(connection, requests[turn++ % requests.length]!)
    idle.push(connection)
    const status = Number(/^HTTP\/1\.1 (\d+)/.exec(header)?.[1])
    if (status !== 200 && status !== 503) throw new Error(`a login was answered ${status}`)
    const hasRetryAfter = Number(/^retry-after: (\d+)\r$/im.exec(header)?.[1]) >= 1
    return { status, ms: performance.now() - startedAt, hasRetryAfter }
  }
  const first = Array.from({ length: burst }, logInOnce)
  const later = await atRate(perSecond, seconds, new AbortController().signal, logInOnce)
  const answers = [...(await Promise.all(first)), ...later]
  for (const connection of idle) connection.destroy()
  return answers
}

function requestFor(host: string, body: string): string {
  const header = `Host: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}`
  return `POST /v1/auth/login HTTP/1.1\r\n${header}\r\n\r\n${body}`
}

/** Sends a request, and gives the header of its answer once that is there to its end. */
function answerOf(connection: Socket, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const breakOff = () =>
      reject(new Error('the connection of a login was closed', { cause: connection.errored ?? undefined }))
    if (connection.destroyed) return breakOff() // while it rested; nothing would come of it any more
    const take = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      const end = text.indexOf('\r\n\r\n') + 4
      if (end < 4) return
      const length = Number(/^content-length: (\d+)\r$/im.exec(text.slice(0, end))?.[1])
      if (Number.isNaN(length)) return reject(new Error('a login was answered without a Content-Length'))
      if (text.length - end < length) return
      connection.off('data', take).off('close', breakOff)
      resolve(text.slice(0, end))
    }
    connection.on('data', take).on('close', breakOff)
    connection.write(request)
  })
}
