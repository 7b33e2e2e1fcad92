import fs from 'node:fs'
import path from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import { provide } from '../../dev/stores.ts'

/** What a person's eyes and fingers meet on a page. */
export interface PageMeasures {
  /** The colour below everything, as `r,g,b`: it tells light from dark. */
  canvas: string
  widthPx: number
  contentWidthPx: number
  /** Readable: inside the page, and with a contrast of 4.5:1 (WCAG 2.2, 1.4.3) to what is painted behind it. */
  texts: { text: string; contrast: number; isReadable: boolean }[]
  links: { href: string | null; text: string; heightPx: number }[]
  tags: string[]
  handlers: string[]
}

export interface View {
  widthPx: number
  colorScheme: 'light' | 'dark'
}

export type TestBrowser = Awaited<ReturnType<typeof startBrowser>>

/** Read as text, because it runs in the page: what tsx makes of a function needs helpers that are not there. */
const measuring = fs.readFileSync(path.join(import.meta.dirname, 'measure-page.js'), 'utf8')

/** From where the page is said to come, so that a relative address in it would be asked for too. */
const origin = 'https://mail.example/'

/** What is drawn must not depend on the screen, and no request of the browser's own leaves the machine. */
export const browserFlags = [
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-lcd-text',
  '--font-render-hinting=none',
  '--force-color-profile=srgb',
]

/** A headless Chromium with one page, in which nothing may be loaded and no script of the page runs. */
export async function startBrowser() {
  const browser: Browser = await chromium.launch({ executablePath: await provide('chromium'), args: browserFlags })
  const page: Page = await browser.newPage({ javaScriptEnabled: false, reducedMotion: 'reduce' })
  let shown = ''
  const requested: string[] = []
  await page.route('**/*', async (route) => {
    const url = route.request().url()
    if (url === origin) return route.fulfill({ contentType: 'text/html; charset=utf-8', body: shown })
    requested.push(url)
    return route.abort()
  })

  return {
    /** Shows a page, waits until it would have loaded whatever it wants to, and gives what it asked for. */
    async show(html: string, { widthPx, colorScheme }: View): Promise<string[]> {
      shown = html
      requested.length = 0
      await page.setViewportSize({ width: widthPx, height: 100 })
      await page.emulateMedia({ colorScheme })
      await page.goto(origin, { waitUntil: 'load' })
      return [...requested]
    },
    measure: () => page.evaluate<PageMeasures>(measuring),
    /** A picture of the whole page. */
    picture: (): Promise<Buffer> => page.screenshot({ fullPage: true, animations: 'disabled' }),
    close: () => browser.close(),
  }
}
