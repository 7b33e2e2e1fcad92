/** Prints rows: laid out for a terminal as wide as it is, and with tabs between and no heading into a pipe. */
export function printTable(heading: string[], rows: string[][]): void {
  const lines = process.stdout.isTTY
    ? layOut(heading, rows, process.stdout.columns || Infinity) // 0: nobody knows
    : rows.map((row) => row.join('\t'))
  for (const line of lines) console.log(line)
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
