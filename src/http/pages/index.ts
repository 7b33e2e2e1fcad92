import type { Router } from '@koa/router'
import { AppError } from '../../errors.ts'
import type { Services } from '../route.ts'
import { docsFiles, docsHeaders, docsPage } from './docs.ts'
import { pageHeaders } from './html.ts'
import { mailLinkPages, showMailLinkPage, submitMailLinkPage } from './mail-links.ts'
import { problemPage, problemsPage } from './problems.ts'

const fileKeptSeconds = 3600

/** The paths of the pages for people. They are no part of the API, and not in its description. */
export const pagePaths: readonly string[] = ['/docs', '/problems', '/problems/:code', ...Object.keys(mailLinkPages)]

/** Adds the pages for people; those behind the links in mails only where there is no front end that has its own. */
export function addPages(router: Router, services: Services): void {
  router.get('/docs', (ctx) => {
    ctx.set(docsHeaders)
    ctx.body = docsPage
  })
  router.get('/docs/:file', (ctx) => {
    const file = docsFiles.get(String(ctx['params'].file))
    if (!file) throw new AppError('not-found')
    const { type, body } = file()
    ctx.set({ 'Content-Type': type, 'Cache-Control': `public, max-age=${fileKeptSeconds}` })
    ctx.body = body
  })
  router.get('/problems', (ctx) => {
    ctx.set(pageHeaders)
    ctx.body = problemsPage()
  })
  router.get('/problems/:code', (ctx) => {
    const text = problemPage(String(ctx['params'].code))
    ctx.set(pageHeaders)
    ctx.body = text
  })
  if (!services.hasOwnPages) return
  for (const path of Object.keys(mailLinkPages) as (keyof typeof mailLinkPages)[]) {
    router.get(path, (ctx) => showMailLinkPage(path, ctx))
    router.post(path, (ctx) => submitMailLinkPage(path, ctx, services))
  }
}
