/** A crowd that logs in, a process of its own: how long others are seen to wait must not hang on how busy it is. */
import { createClient } from './client.ts'
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
  const client = createClient(url)
  let turn = 0
  const logInOnce = async (): Promise<LoginAnswer> => {
    const body = { email: emails[turn++ % emails.length]!, password }
    const startedAt = performance.now()
    const { status, headers } = await client.send('POST', '/v1/auth/login', { body })
    if (status !== 200 && status !== 503) throw new Error(`a login was answered ${status}`)
    return { status, ms: performance.now() - startedAt, hasRetryAfter: Number(headers['retry-after']) >= 1 }
  }
  const first = Array.from({ length: burst }, logInOnce)
  const later = await atRate(perSecond, seconds, new AbortController().signal, logInOnce)
  const answers = [...(await Promise.all(first)), ...later]
  client.close()
  return answers
}
