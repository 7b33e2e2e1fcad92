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
  let receivedBytes = 0
  ctx.req.on('data', (chunk: Buffer) => (receivedBytes += chunk.length))
  try {
    await parseJson(ctx, done)
  } catch (error) {
    // The parser leaves the rest of a body that it gives up on; unread, it would block the next request of the connection.
    ctx.req.resume()
    throw new AppError((error as { status?: number }).status === 413 ? 'payload-too-large' : 'malformed-request')
  }
  const { body, rawBody } = ctx.request as unknown as { body: unknown; rawBody: string }
  // Decoding drops a byte order mark and replaces what is no UTF-8; either way the text has other bytes than came.
  const changed = Buffer.byteLength(rawBody) !== receivedBytes || rawBody.includes('\uFFFD')
  if (changed || isAmbiguous(rawBody)) throw new AppError('malformed-request')
  return body
}
