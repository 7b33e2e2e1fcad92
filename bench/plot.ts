/** The figures of the peers as a picture. */
import type { PeerFigure, PeerFigures } from './peers.ts'

const width = 760
const labelWidth = 270
const figureWidth = 140
const barHeight = 20
const rowHeight = 32
const headHeight = 62
const footHeight = 44
const edge = 20

/** Colours for a light and a dark reader; the ground is painted too, so that it fits whatever page it stands on. */
const style = `
    text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .small { font-size: 11px; fill: #59636e }
    .ground { fill: #ffffff }
    .latchkey { fill: #0969da }
    .revocable { fill: #8c959f }
    .stateless { fill: #bf8700 }
    .reference { fill: #d1d9e0 }
    .spread { stroke: #1f2328; stroke-width: 1.5 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .small { fill: #9198a1 }
      .ground { fill: #0d1117 }
      .latchkey { fill: #4493f8 }
      .revocable { fill: #656c76 }
      .stateless { fill: #9e6a03 }
      .reference { fill: #3d444d }
      .spread { stroke: #f0f6fc }
    }`

const kinds = {
  latchkey: 'Latchkey',
  revocable: 'peer, sessions can be ended',
  stateless: 'peer, sessions cannot be ended',
  reference: 'reference',
}

/**
 * Draws a bar for each server: its length is the median of all rounds, the line on it goes from the lowest to the highest.
 *
 * @param machine the machine and the day, as they stand below the tables
 */
export function asPlot({ servers, connections, rounds, seconds }: PeerFigures, machine: string): string {
  const height = headHeight + servers.length * rowHeight + footHeight
  const most = Math.max(...servers.map(({ variant }) => variant.perSecond.max))
  const xOf = (perSecond: number) => labelWidth + (perSecond / most) * (width - labelWidth - figureWidth)
  const title = 'Authenticated requests a second, one process each'
  const row = ({ name, kind, variant, ratio }: PeerFigure, i: number) => {
    const { median, min, max } = variant.perSecond
    const y = headHeight + i * rowHeight
    const middle = y + barHeight / 2
    return [
      `<text x="${labelWidth - 10}" y="${middle + 4}" text-anchor="end">${escaped(name)}</text>`,
      `<rect class="${kind}" x="${labelWidth}" y="${y}" width="${tenth(xOf(median) - labelWidth)}" height="${barHeight}" rx="2"/>`,
      `<path class="spread" d="M${tenth(xOf(min))} ${middle}H${tenth(xOf(max))}"/>`,
      `<text x="${tenth(xOf(max) + 8)}" y="${middle + 4}">${count(median)}<tspan class="small">  ×${ratio.median.toFixed(2)}</tspan></text>`,
    ]
  }
  const legend = Object.entries(kinds).map(([kind, words]) => `<tspan class="${kind}" dx="8">■</tspan> ${words}`)
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">${title}</title>`,
    `<desc id="desc">${escaped(servers.map(({ name, variant }) => `${name}: ${count(variant.perSecond.median)}`).join('; '))}</desc>`,
    `<style>${style}\n</style>`,
    `<rect class="ground" width="${width}" height="${height}" rx="6"/>`,
    `<text class="title" x="${edge}" y="26">${title}</text>`,
    `<text class="small" x="${edge - 8}" y="46">${legend.join('')}</text>`,
    ...servers.flatMap(row),
    `<text class="small" x="${edge}" y="${height - 28}">Median of ${rounds} rounds of ${seconds} s, ${connections} connections; the line is the lowest to the highest, × the ratio to bare Node with one GET.</text>`,
    `<text class="small" x="${edge}" y="${height - 12}">${escaped(machine)}</text>`,
    '</svg>',
  ].join('\n')}\n`
}

const count = (value: number) => Math.round(value).toLocaleString('en')
const tenth = (value: number) => value.toFixed(1)

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
