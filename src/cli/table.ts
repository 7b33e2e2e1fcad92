/** Prints rows: in columns under a heading on a terminal, and with tabs between and no heading into a pipe. */
export function printTable(heading: string[], rows: string[][]): void {
  if (!process.stdout.isTTY) {
    for (const row of rows) console.log(row.join('\t'))
    return
  }
  const widths = heading.map((name, i) => rows.reduce((width, row) => Math.max(width, row[i]!.length), name.length))
  for (const row of [heading, ...rows])
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
}
