import { once } from 'node:events'
import net from 'node:net'

export interface RawAnswer {
  status: number
  headers: Record<string, string>
  body: string
}

/** Sends bytes as they are and reads the first answer until the service closes the connection or has said it whole. */
export async function sendRaw(url: string, bytes: string | Buffer): Promise<RawAnswer> {
  const { hostname, port } = new URL(url)
  const socket = net.connect(Number(port), hostname)
  await once(socket, 'connect')
  // A service that refuses early may reset the connection while we still write.
  socket.on('error', () => undefined)
  socket.write(bytes)
  let text = ''
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    text += chunk.toString('latin1')
    const answer = parse(text)
    if (answer && answer.body.length >= Number(answer.headers['content-length'] ?? 0)) break
  }
  socket.destroy()
  const answer = parse(text)
  if (!answer) throw new Error(`no answer, but: ${text}`)
  return answer
}

/** Sends bytes and reads all that comes, until the service closes the connection. */
export async function readAllOf(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = net.connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.write(bytes)
  let text = ''
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString('latin1')
  return text
}

/** Sends bytes and reads the statuses of all answers, until the service closes the connection. */
export async function statusesOf(url: string, bytes: string): Promise<number[]> {
  return [...(await readAllOf(url, bytes)).matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status))
}

function parse(text: string): RawAnswer | null {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return null
  const [line = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = Object.fromEntries(
    lines.map((header) => [
      header.slice(0, header.indexOf(':')).toLowerCase(),
      header.slice(header.indexOf(':') + 1).trim(),
    ]),
  )
  return { status: Number(line.split(' ')[1]), headers, body: text.slice(end + 4) }
}
