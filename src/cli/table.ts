/**
 * Prints rows: laid out for a terminal as wide as it is, and with tabs between and no heading into a pipe.
 *
 * @param paint colours a line that is laid out, where the terminal shows colours and nobody has said NO_COLOR
 */
export function printTable(heading: string[], rows: string[][], paint = (line: string) => line): void {
  const { stdout } = process
  const cells = rows.map((row) => row.map(inert))
  const lines = stdout.isTTY
    ? layOut(heading, cells, stdout.columns || Infinity) // 0: nobody knows
    : cells.map((row) => row.join('\t'))
  const isColourful = stdout.isTTY && stdout.hasColors()
  for (const line of lines) console.log(isColourful ? paint(line) : line)
}

/**
 * A text with its control characters written out, as JSON does it.
 *
 * A user agent is what a stranger has sent: a terminal would obey the controls in it, the C1 ones from U+0080 as well, and
 * a tab or a line break would pass for one of ours.
 */
export function inert(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (control) => `\\u${control.codePointAt(0)!.toString(16).padStart(4, '0')}`)
}

/**
 * Lays rows out in columns under a heading; where those are wider than the terminal, each row becomes a block with one
 * cell a line. So no cell is cut, and none stands under the heading of another.
 */
export function layOut(heading: string[], rows: string[][], widthMax: number): string[] {
  const widths = heading.map((name, i) => rows.reduce((width, row) => Math.max(width, row[i]!.length), name.length))
  const lines = [heading, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  )
  if (lines.every((line) => line.length <= widthMax)) return lines
  const nameWidth = Math.max(...heading.map((name) => name.length))
  return rows.flatMap((row, n) => [
    ...(n === 0 ? [] : ['']),
    ...row.map((cell, i) => `${heading[i]!.padEnd(nameWidth)}  ${cell}`.trimEnd()),
  ])
}
