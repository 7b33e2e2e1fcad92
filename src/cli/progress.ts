/** A line at the bottom of a terminal that says how far something is; nothing where nobody watches. */
export interface Progress {
  show: (text: string) => void
  /** Prints a line that stays. */
  say: (line: string) => void
  done: () => void
}

const stepMs = 100
const clearLine = '\r\u001B[2K'

/** On standard error, so that what is printed on standard output stays whole. */
export function createProgress(
  stream: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'> = process.stderr,
): Progress {
  let shown = ''
  let shownAt = -Infinity
  const clear = () => {
    if (shown !== '') stream.write(clearLine)
    shown = ''
  }
  return {
    show(text) {
      const now = performance.now()
      if (!stream.isTTY || now - shownAt < stepMs) return
      shownAt = now
      shown = text.slice(0, (stream.columns || Infinity) - 1)
      stream.write(clearLine + shown)
    },
    say(line) {
      const below = shown
      clear()
      stream.write(`${line}\n`)
      if (below !== '') stream.write((shown = below))
    },
    done: clear,
  }
}
