import fs from 'node:fs'
import { createRequire } from 'node:module'
import { expect } from 'chai'
import { chromium, type BrowserContextOptions, type Page } from 'playwright-core'
import { provide } from '../../dev/stores.ts'
import { browserFlags } from './browser.ts'

const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** A page of a service in a browser, with all that it wanted to load and all that went wrong. */
export interface Visit {
  page: Page
  requested: string[]
  complaints: string[]
  close: () => Promise<void>
}

export type PageBrowser = Awaited<ReturnType<typeof startPageBrowser>>

/** A headless Chromium for the pages of the service itself. */
export async function startPageBrowser() {
  const browser = await chromium.launch({ executablePath: await provide('chromium'), args: browserFlags })
  return {
    async visit(url: string, options: BrowserContextOptions = {}): Promise<Visit> {
      const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
      const page = await context.newPage()
      const requested: string[] = []
      const complaints: string[] = []
      page.on('request', (request) => requested.push(request.url()))
      page.on('pageerror', (error) => complaints.push(error.message))
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text())
      })
      await page.goto(url, { waitUntil: 'networkidle' })
      return { page, requested, complaints, close: () => context.close() }
    },
    close: () => browser.close(),
  }
}

/** Expects what a machine can tell of WCAG 2.2, levels A and AA, to be in order. */
export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(axe)
  const options = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }
  const { violations } = await page.evaluate<{ violations: { id: string; nodes: { html: string }[] }[] }>(
    `axe.run(document, ${JSON.stringify(options)})`,
  )
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)).to.deep.equal([])
}
