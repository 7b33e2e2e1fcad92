import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { HttpMethodEnum, koaBody } from 'koa-body'
import { AppError } from '../errors.ts'
import { isAmbiguous } from './json.ts'

const bodyMaxBytes = 64 * 1024
const parseJson = koaBody({
  json: true,
  jsonLimit: bodyMaxBytes,
  urlencoded: false,
  text: false,
  multipart: false,
  includeUnparsed: true,
  parsedMethods: [HttpMethodEnum.POST, HttpMethodEnum.PUT, HttpMethodEnum.PATCH, HttpMethodEnum.DELETE],
})
const jsonType = /^application\/json *(; *charset="?utf-8"?)?$/i
const formType = /^application\/x-www-form-urlencoded *(; *charset="?utf-8"?)?$/i
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
  const { req: request } = ctx
  if (!(await hasBody(request, jsonType))) return {}
  let receivedBytes = 0
  request.on('data', (chunk: Buffer) => (receivedBytes += chunk.length))
  try {
    await parseJson(ctx, done)
  } catch (error) {
    // The parser leaves the rest of a body that it gives up on; unread, it would block the next request of the connection.
    request.resume()
    throw new AppError((error as { status?: number }).status === 413 ? 'payload-too-large' : 'malformed-request')
  }
  const { rawBody, body } = ctx.request as unknown as { rawBody: string; body: unknown }
  // Decoding drops a byte order mark and replaces what is no UTF-8; either way the text has other bytes than came.
  if (Buffer.byteLength(rawBody) !== receivedBytes || rawBody.includes('\uFFFD') || isAmbiguous(rawBody))
    throw new AppError('malformed-request')
  return body
}

/**
 * Reads the body of a request as {@link readJson} does, without the parser, and without the context of Koa that it wants.
 *
 * @throws AppError `unsupported-media-type`, `payload-too-large`, `malformed-request`
 */
export async function readJsonDirectly(request: IncomingMessage): Promise<unknown> {
  if (!(await hasBody(request, jsonType))) return {}
  const text = await readText(request)
  if (text === '') return {}
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    throw new AppError('malformed-request')
  }
  if (typeof body !== 'object' || body === null || isAmbiguous(text)) throw new AppError('malformed-request')
  return body
}

/** The parameters of a form; undefined for one without a value. */
export type Form = Readonly<Record<string, string | undefined>>

/**
 * Reads the body of a request as a form, as the OAuth endpoints take it (RFC 6749 §3.2): a parameter that occurs twice
 * makes it malformed, and one without a value counts as missing.
 *
 * It is read here and not by a parser: of a parser only the text would be wanted, and that took longer than the rest of
 * an introspection (figures: bench/README.md).
 *
 * @throws AppError `unsupported-media-type`, `payload-too-large`, `malformed-request`
 */
export async function readForm(request: IncomingMessage): Promise<Form> {
  const parameters = Object.create(null) as Record<string, string | undefined> // none of its names means anything
  if (!(await hasBody(request, formType))) return parameters
  const text = await readText(request)
  if (/%(?![\da-f]{2})/i.test(text)) throw new AppError('malformed-request')
  // URLSearchParams would take a question mark at the beginning for the start of a query, and drop it.
  for (const [name, value] of new URLSearchParams(`&${text}`)) {
    if (name in parameters || name.includes('\uFFFD') || value.includes('\uFFFD'))
      throw new AppError('malformed-request')
    parameters[name] = value === '' ? undefined : value
  }
  return parameters
}

/** Whether there is a body, in UTF-8 and as it was written. @throws AppError `unsupported-media-type` for any other */
async function hasBody(request: IncomingMessage, type: RegExp): Promise<boolean> {
  const { headers } = request
  if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return false
  if (type.test(headers['content-type'] ?? '') && headers['content-encoding'] === undefined) return true
  if (headers['transfer-encoding'] !== undefined && (await hasNoBytes(request))) return false
  throw new AppError('unsupported-media-type')
}

/**
 * Reads a body to its end. What is too long is read on and thrown away: unread, it would block the next request of the
 * connection.
 *
 * @throws AppError `payload-too-large`, `malformed-request` when it breaks off or is no UTF-8
 */
function readText(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const refuse = (code: 'payload-too-large' | 'malformed-request') => {
      request.off('data', take)
      request.resume()
      reject(new AppError(code))
    }
    const breakOff = () => refuse('malformed-request')
    const take = (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > bodyMaxBytes) refuse('payload-too-large')
    }
    if (request.destroyed) return breakOff() // while the caller was looked up; no event will tell
    if (Number(request.headers['content-length']) > bodyMaxBytes) return refuse('payload-too-large')
    request.on('data', take)
    request.once('end', () => {
      request.off('close', breakOff)
      const text = (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString('utf8')
      if (text.includes('\uFFFD')) refuse('malformed-request')
      else resolve(text)
    })
    request.once('close', breakOff)
  })
}

/** Whether a body whose length is not told ends without a byte; what comes of one that has some is thrown away. */
function hasNoBytes(request: IncomingMessage): Promise<boolean> {
  return new Promise((resolve) => {
    if (request.destroyed) return resolve(false)
    request.once('data', () => resolve(false))
    request.once('end', () => resolve(true))
    request.once('close', () => resolve(false))
  })
}
