import { expect } from 'chai'
import type { ErrorCode } from '../../src/errors.ts'
import { problemKinds } from '../../src/http/index.ts'
import { mustBeDescribed } from './api-description.ts'

/** An answer of the API, read whole. */
export interface Answer {
  status: number
  headers: Headers
  text: string
  body: Json
}

/** JSON of which a test knows the shape. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any

export interface Tokens {
  access_token: string
  refresh_token: string
  session: { id: string; [member: string]: Json }
  user: { id: string; email: string; [member: string]: Json }
  [member: string]: Json
}

export type ApiClient = ReturnType<typeof createClient>

interface Options {
  token?: string | undefined
  body?: unknown
  /** A form, as the OAuth endpoints take it. */
  form?: Record<string, string> | string
  headers?: Record<string, string>
}

/**
 * A client of the API as anybody might write one. Each answer is held against the description of the API: its status, its
 * headers and its body, with the problem code, must be ones that the description has.
 */
export function createClient(url: string) {
  async function call(method: string, path: string, { token, body, form, headers }: Options = {}): Promise<Answer> {
    const sent = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
        ...headers,
      },
      ...(sent !== undefined && { body: sent }),
      ...(form !== undefined && { body: typeof form === 'string' ? form : new URLSearchParams(form).toString() }),
    })
    const text = await response.text()
    const answer: Answer = {
      status: response.status,
      headers: response.headers,
      text,
      body: text === '' ? null : JSON.parse(text),
    }
    mustBeDeclared(method, path, answer)
    return answer
  }

  const post = (path: string, options?: Options) => call('POST', path, options)

  return {
    url,
    call,
    post,
    get: (path: string, token?: string) => call('GET', path, { token }),
    register: (body: Json) => post('/v1/auth/register', { body }),
    login: (body: Json, headers?: Record<string, string>) =>
      post('/v1/auth/login', { body, ...(headers && { headers }) }),
    refresh: (refreshToken: string) => post('/v1/auth/refresh', { body: { refresh_token: refreshToken } }),
    logout: (token: string) => post('/v1/auth/logout', { token }),
    logoutAll: (token: string) => post('/v1/auth/logout-all', { token }),
    me: (token?: string) => call('GET', '/v1/me', { token }),
    protected: (token?: string) => call('GET', '/v1/protected', { token }),
    sessions: (token: string) => call('GET', '/v1/sessions', { token }),
  }
}

/** Holds an answer against the description of the API, and a refusal against what all of them have in common. */
export function mustBeDeclared(method: string, path: string, answer: Answer): void {
  expect(answer.headers.get('x-request-id'), 'X-Request-Id').to.match(/^[0-9a-f-]{36}$/)
  expect(answer.headers.get('cache-control')).to.equal('no-store')
  mustBeDescribed(method, path, answer)
  if (answer.status >= 400 && 'error' in answer.body) {
    expect(answer.headers.get('content-type')).to.equal('application/json; charset=utf-8')
    expect(answer.body.error).to.equal(answer.status === 400 ? 'invalid_request' : 'invalid_client')
    expect(answer.body.error_description).to.match(/^[ !#-[\]-~]+$/)
  } else if (answer.status >= 400) {
    expect(answer.headers.get('content-type')).to.equal('application/problem+json; charset=utf-8')
    const { code, status, instance, type, title, detail } = answer.body as Record<string, string>
    expect(Object.keys(problemKinds), 'a code of the closed list').to.include(code)
    expect({ status: Number(status), instance, type }).to.deep.equal({
      status: answer.status,
      instance: answer.headers.get('x-request-id'),
      type: `/problems/${code}`,
    })
    expect(title).to.be.a('string').and.not.equal('')
    expect(detail).to.be.a('string').and.not.equal('')
  }
}

/** Expects a problem with this status and code, and for a 401 this reason. */
export function expectProblem(answer: Answer, status: number, code: ErrorCode, reason?: string): void {
  expect({ status: answer.status, code: answer.body?.code, reason: answer.body?.reason }).to.deep.equal({
    status,
    code,
    reason,
  })
}

/** The members that a problem names as invalid. */
export function pointersOf(answer: Answer): string[] {
  return (answer.body.errors as { pointer: string }[]).map(({ pointer }) => pointer)
}
