export interface Framing {
  /** Tells the commands of one connection apart: gets what was sent, piece by piece, and gives what is whole. */
  open: () => (piece: Buffer) => Buffer[]
  /** Whether a command is one of those that count, because somebody has asked for something. */
  counts: (command: Buffer) => boolean
}

/** RESP, as a client sends it: each command is an array of bulk strings. */
export const redisFraming: Framing = {
  open: () => framed(endOfRedisCommand),
  counts: (command) => !isHousekeeping(command),
}

/**
 * What a client sends to PostgreSQL; what it wants answered together is one command, from Parse to Sync. The first
 * message of a connection has no type.
 */
export const postgresFraming: Framing = {
  open() {
    let isFirst = true
    return framed((buffered) => {
      const end = isFirst ? endOfMessage(buffered, 0) : endOfStatement(buffered)
      if (end !== null) isFirst = false
      return end
    })
  },
  counts: () => true,
}

/** Commands to Redis that set a connection up or ask which server that is, and are not sent for anybody. */
export function isHousekeeping(command: Buffer): boolean {
  return /^\*\d+\r\n\$\d+\r\n(?:hello|info|auth|select|client)\r\n/i.test(command.toString('latin1', 0, 40))
}

/** A command that makes Redis itself answer with an error: so it comes in its turn, however many are under way. */
export function askForError(message: string): Buffer {
  const words = ['EVAL', 'return redis.error_reply(ARGV[1])', '0', message]
  return Buffer.from(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`)
}

function framed(endOf: (buffered: Buffer) => number | null): (piece: Buffer) => Buffer[] {
  let buffered = Buffer.alloc(0)
  return (piece) => {
    buffered = Buffer.concat([buffered, piece])
    const whole: Buffer[] = []
    for (let end = endOf(buffered); end !== null; end = endOf(buffered)) {
      whole.push(buffered.subarray(0, end))
      buffered = buffered.subarray(end)
    }
    return whole
  }
}

function endOfRedisCommand(buffered: Buffer): number | null {
  const head = lineAt(buffered, 0)
  if (!head) return null
  let at = head.end
  for (let word = 0; word < head.number; word++) {
    const length = lineAt(buffered, at)
    if (!length) return null
    at = length.end + length.number + 2
  }
  return at <= buffered.length ? at : null
}

/** A line such as `*3` or `$11`. */
function lineAt(buffered: Buffer, at: number): { number: number; end: number } | null {
  const end = buffered.indexOf('\r\n', at)
  return end === -1 ? null : { number: Number(buffered.toString('latin1', at + 1, end)), end: end + 2 }
}

/** Query, Sync, the answer to a demand for a password, Terminate: after these it is the server's turn. */
const closingTypes = new Set(['Q', 'S', 'p', 'X'])

function endOfStatement(buffered: Buffer): number | null {
  for (let at: number | null = 0; at !== null && at < buffered.length;) {
    const type = String.fromCharCode(buffered[at]!)
    at = endOfMessage(buffered, at + 1)
    if (at !== null && closingTypes.has(type)) return at
  }
  return null
}

function endOfMessage(buffered: Buffer, lengthAt: number): number | null {
  if (buffered.length < lengthAt + 4) return null
  const end = lengthAt + buffered.readUInt32BE(lengthAt)
  return end <= buffered.length ? end : null
}
