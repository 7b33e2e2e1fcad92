import { expect } from 'chai'

/** What one scrape says: the figure of each series, by its name and labels as they are written there. */
export type Scrape = Map<string, number>

export async function scrape(opsUrl: string | null): Promise<Scrape> {
  const answer = await fetch(`${opsUrl}/metrics`)
  expect(answer.status).to.equal(200)
  expect(answer.headers.get('content-type')).to.equal('text/plain; version=0.0.4; charset=utf-8')
  const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1))]
    }),
  )
}

/** The names of the metrics in a scrape, those without figures too. */
export async function metricNames(opsUrl: string | null): Promise<string[]> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text()
  return [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!)
}

/** Which series with this beginning have changed between two scrapes, and by how much. */
export function growth(before: Scrape, after: Scrape, start: string): Record<string, number> {
  return Object.fromEntries(
    [...after]
      .filter(([series]) => series.startsWith(start))
      .map(([series, value]): [string, number] => [series, value - (before.get(series) ?? 0)])
      .filter(([, change]) => change !== 0),
  )
}
