import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { HttpMethodEnum, koaBody } from 'koa-body'
import { AppError } from '../errors.ts'
import { isAmbiguous } from './json.ts'

const common = {
  text: false,
  multipart: false,
  includeUnparsed: true,
  parsedMethods: [HttpMethodEnum.POST, HttpMethodEnum.PUT, HttpMethodEnum.PATCH, HttpMethodEnum.DELETE],
}
const parseJson = koaBody({ ...common, json: true, jsonLimit: '64kb', urlencoded: false })
/** Only the text of a form is wanted; what the parser makes of it is not looked at. */
const parseForm = koaBody({
  ...common,
  json: false,
  urlencoded: true,
  formLimit: '64kb',
  queryString: { depth: 0, parameterLimit: 1 },
})
const jsonType = /^application\/json *(; *charset="?utf-8"?)?$/i
const formType = /^application\/x-www-form-urlencoded *(; *charset="?utf-8"?)?$/i
const done = async () => undefined

/**
 * Reads the body of a request as JSON; no body at all is an empty object.
 *
 * @throws AppError `unsupported-media-type`, `payload-too-large`, `malformed-request`
 */
export async function readJson(ctx: Context): Promise<unknown> {
  const text = await readText(ctx, jsonType, parseJson)
  if (text === null) return {}
  if (isAmbiguous(text)) throw new AppError('malformed-request')
  return (ctx.request as unknown as { body: unknown }).body
}

/**
 * Reads the body of a request as a form, as the OAuth endpoints take it (RFC 6749 §3.2): a parameter that occurs twice
 * makes it malformed, and one without a value counts as missing.
 *
 * @throws AppError `unsupported-media-type`, `payload-too-large`, `malformed-request`
 */
export async function readForm(ctx: Context): Promise<Record<string, string>> {
  const text = (await readText(ctx, formType, parseForm)) ?? ''
  if (/%(?![\da-f]{2})/i.test(text)) throw new AppError('malformed-request')
  const parameters = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (parameters.has(name) || `${name}${value}`.includes('\uFFFD')) throw new AppError('malformed-request')
    parameters.set(name, value)
  }
  return Object.fromEntries([...parameters].filter(([, value]) => value !== ''))
}

/**
 * Reads the body of a request as text that a parser has accepted; null when there is none.
 *
 * The ways past the parser are closed here: other media types (which it leaves unread), other character sets and
 * compression, bytes that are no UTF-8, members that occur twice. What the parser says of a body it could not read may
 * quote it, password and all, and is kept from everybody.
 *
 * @throws AppError `unsupported-media-type`, `payload-too-large`, `malformed-request`
 */
async function readText(ctx: Context, type: RegExp, parse: ReturnType<typeof koaBody>): Promise<string | null> {
  const { headers } = ctx.req
  if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return null
  if (!type.test(headers['content-type'] ?? '') || headers['content-encoding'] !== undefined) {
    if (headers['transfer-encoding'] !== undefined && (await hasNoBytes(ctx.req))) return null
    throw new AppError('unsupported-media-type')
  }
  let receivedBytes = 0
  ctx.req.on('data', (chunk: Buffer) => (receivedBytes += chunk.length))
  try {
    await parse(ctx, done)
  } catch (error) {
    // The parser leaves the rest of a body that it gives up on; unread, it would block the next request of the connection.
    ctx.req.resume()
    throw new AppError((error as { status?: number }).status === 413 ? 'payload-too-large' : 'malformed-request')
  }
  const { rawBody } = ctx.request as unknown as { rawBody: string }
  // Decoding drops a byte order mark and replaces what is no UTF-8; either way the text has other bytes than came.
  if (Buffer.byteLength(rawBody) !== receivedBytes || rawBody.includes('\uFFFD'))
    throw new AppError('malformed-request')
  return rawBody
}

/** Whether a body whose length is not told ends without a byte; what comes of one that has some is thrown away. */
function hasNoBytes(request: IncomingMessage): Promise<boolean> {
  return new Promise((resolve) => {
    request.once('data', () => resolve(false))
    request.once('end', () => resolve(true))
    request.once('close', () => resolve(false))
  })
}
