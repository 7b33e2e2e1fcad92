import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import { expect } from 'chai'
import { createClient } from '../support/client.ts'
import { startProcess, urlOf, type ServiceProcess } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { aPerson } from '../support/people.ts'

describe('the process', function () {
  this.timeout(30_000)
  const children: ServiceProcess[] = []
  const start = (env: Record<string, string> = {}, entry = 'main', args: string[] = []) => {
    const running = startProcess(env, entry, args)
    children.push(running)
    return running
  }
  after(() => {
    for (const { process: child } of children) child.kill('SIGKILL')
  })

  it('serves, logs JSON lines, and ends with 0 on SIGTERM', async () => {
    const running = start()
    const url = await urlOf(running)
    const { tokens } = await aPerson(createClient(url))
    expect((await createClient(url).me(tokens.access_token)).status).to.equal(200)

    running.process.kill('SIGTERM')

    expect(await running.exitCode).to.equal(0)
    const events = running
      .output()
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: string }).event)
    expect(events).to.include.members(['service.started', 'account.registered', 'service.stopping', 'service.stopped'])
  })

  for (const [way, entry, args] of [
    ['itself', 'main', []],
    ['latchkey serve', 'cli/main', ['serve']],
  ] as [string, string, string[]][])
    it(`lets the threads that hash give way to those that answer, started by ${way}`, async function () {
      if (process.platform !== 'linux') this.skip() // elsewhere threads have no priority of their own
      const running = start({}, entry, args)
      await urlOf(running)

      const threads = () => fs.readdirSync(`/proc/${running.process.pid}/task`).map(Number)
      const lowered = () => threads().filter((id) => os.getPriority(id) > 0)
      await eventually(() => expect(lowered()).to.have.length(4))
      expect(lowered()).to.not.include(running.process.pid)
      running.process.kill('SIGTERM')
      expect(await running.exitCode).to.equal(0)
    })

  it('answers what is under way when SIGTERM comes, and takes no more', async () => {
    const running = start()
    const url = new URL(await urlOf(running))
    const body = JSON.stringify({ email: 'nobody@example.com', password: 'whatever it is' })
    const socket = net.connect(Number(url.port), url.hostname)
    await once(socket, 'connect')
    socket.write(
      `POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    )
    socket.write(body.slice(0, 10))
    // The head must have been read before the signal; another request on a connection of its own tells that it was.
    await fetch(`${url.origin}/health/live`)

    running.process.kill('SIGTERM')
    await eventually(() => expect(running.output()).to.include('service.stopping'))
    socket.write(body.slice(10))
    let answer = ''
    for await (const chunk of socket as AsyncIterable<Buffer>) answer += chunk.toString()

    expect(answer).to.include('HTTP/1.1 401').and.include('Connection: close')
    expect(await running.exitCode).to.equal(0)
  })

  it('keeps its sessions over a restart', async () => {
    const first = start()
    const { tokens } = await aPerson(createClient(await urlOf(first)))
    const ended = await aPerson(createClient(await urlOf(first)))
    await createClient(await urlOf(first)).logout(ended.tokens.access_token)
    first.process.kill('SIGKILL')
    await first.exitCode

    const client = createClient(await urlOf(start()))

    expect((await client.me(tokens.access_token)).status).to.equal(200)
    expect((await client.me(ended.tokens.access_token)).status).to.equal(401)
  })

  it('says everything that is wrong with its configuration and ends with 1', async () => {
    const running = start({ DATABASE_URL: '', PORT: 'http', LOG_LEVEL: 'loud' })

    expect(await running.exitCode).to.equal(1)
    for (const name of ['DATABASE_URL', 'PORT', 'LOG_LEVEL']) expect(running.output()).to.include(name)
  })

  it('says that the port is taken and ends with 1', async () => {
    const taken = new URL(await urlOf(start())).port
    const running = start({ PORT: taken })

    expect(await running.exitCode).to.equal(1)
    expect(running.output()).to.include(`EADDRINUSE`).and.include(taken)
  })
})
