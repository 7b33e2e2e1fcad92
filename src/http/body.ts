import type { Context } from 'koa'
import { HttpMethodEnum, koaBody } from 'koa-body'
import { AppError } from '../errors.ts'
import { isAmbiguous } from './json.ts'

const parseJson = koaBody({
  json: true,
  jsonLimit: '64kb',
  urlencoded: false,
  text: false,
  multipart: false,
  includeUnparsed: true,
  parsedMethods: [HttpMethodEnum.POST, HttpMethodEnum.PUT, HttpMethodEnum.PATCH, HttpMethodEnum.DELETE],
})
const jsonType = /^application\/json *(; *charset="?utf-8"?)?$/i
const done = async () => undefined

/**
 * Reads the body of a request as JSON; no body at all is an empty object.
 *
 * The ways past the parser are closed here: other media types (which it leaves unread), other character sets and
 * compression, bytes that are no UTF-8, members that occur twice. What the parser says of a body it could not read may
 * quote it, password and all, and is kept from everybody.
 *
 * @throws AppError `unsupported-media-type`, `payload-too-large`, `malformed-request`
 */
export async function readJson(ctx: Context): Promise<unknown> {
  const { headers } = ctx.req
  if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return {}
  if (!jsonType.test(headers['content-type'] ?? '') || headers['content-encoding'] !== undefined)
    throw new AppError('unsupported-media-type')
  try {
    await parseJson(ctx, done)
  } catch (error) {
    throw new AppError((error as { status?: number }).status === 413 ? 'payload-too-large' : 'malformed-request')
  }
  const { body, rawBody } = ctx.request as unknown as { body: unknown; rawBody: string }
  if (rawBody.includes('\uFFFD') || isAmbiguous(rawBody)) throw new AppError('malformed-request')
  return body
}
