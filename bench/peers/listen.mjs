import { createServer } from 'node:http'

/** Serves on a free port of this machine, and prints the address: the bench waits for it in the log. */
export function listen(listener) {
  const server = createServer(listener).listen(0, '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${server.address().port}`)
  })
}
