import type { Redis } from '../platform/redis.ts'

/**
 * The Lua of the sessions: one script for each kind of change, each on the one key of one user, so that it is atomic
 * and runs on Redis Cluster. Only the look-up and the rotation reach over several keys: they are used where there is a
 * single primary.
 *
 * Decisions are taken in TypeScript, on what was read; a change then names what it was decided on and loses if that is
 * no longer so. Time is an argument (milliseconds), and lives are durations.
 */

/** Shared by the scripts that keep the card: an older card never replaces a newer one. */
const putCard = `
local function put_card(key, card)
  local held = redis.call('HGET', key, 'user')
  if held == card then return end
  local ok, old = pcall(cjson.decode, held or '')
  if not ok or type(old) ~= 'table' or (tonumber(old.updated_at) or 0) <= cjson.decode(card).updated_at then
    redis.call('HSET', key, 'user', card)
  end
end
`

/**
 * Looks up many tokens at once: pointer, session and card of each.
 *
 * One script for all that are asked for in one turn of the event loop costs Redis and us one round trip for the lot.
 * KEYS  at:<digest> or rt:<digest> …
 * ARGV  1 the start of a user's key, `…sessions:{`
 * Reply three values a token: pointer | nil, session JSON | nil, card JSON | nil
 * A key that somebody made of another type holds nothing for its own token, and disturbs no other of the batch.
 */
const lookUp = `
local sub, found = string.sub, {}
for i, key in ipairs(KEYS) do
  local pointer = redis.pcall('GET', key)
  if type(pointer) == 'table' then pointer = false end
  local session, card = false, false
  if pointer and #pointer == 44 then
    local a, b, c, d = sub(pointer, 1, 8), sub(pointer, 9, 12), sub(pointer, 13, 16), sub(pointer, 17, 20)
    local key = ARGV[1] .. a .. '-' .. b .. '-' .. c .. '-' .. d .. '-' .. sub(pointer, 21, 32) .. '}'
    local id = a .. '-' .. b .. '-' .. c .. '-' .. d .. '-' .. sub(pointer, 33)
    local held = redis.pcall('HMGET', key, id, 'user')
    if not held.err then session, card = held[1], held[2] end
  end
  found[i * 3 - 2], found[i * 3 - 1], found[i * 3] = pointer, session, card
end
return found
`

/**
 * Adds a session to its user's set, after clearing out what has lapsed and, at the cap, what was unused for longest.
 *
 * One step, because logins run side by side and the cap holds for all of them together.
 * KEYS  1 sessions:{<user>}
 * ARGV  1 now   2 cap   3 session id   4 session JSON   5 card JSON   6 life of the key (ms)
 *       7 idle life (ms)   8 absolute life (ms); where they are shorter than what is stored, they count
 *       9 up to when what was refreshed is idle for good   10 up to when what was created has expired for good
 * Reply three values a session that was removed: id, reason, JSON
 */
const open = `${putCard}
local key, now, cap = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local idle_life, absolute_life = tonumber(ARGV[7]), tonumber(ARGV[8])
local idle_lapsed_to, absolute_lapsed_to = tonumber(ARGV[9]), tonumber(ARGV[10])
local removed, open = {}, {}
local function are_three_numbers(list)
  return type(list) == 'table' and type(list[1]) == 'number' and type(list[2]) == 'number' and type(list[3]) == 'number'
end
local function end_of_life(began_at, life, lapsed_to)
  if began_at > lapsed_to then return began_at + life end
  return began_at
end
local function remove(id, reason, json)
  redis.call('HDEL', key, id)
  removed[#removed + 1], removed[#removed + 2], removed[#removed + 3] = id, reason, json
end
local held = redis.call('HGETALL', key)
for i = 1, #held, 2 do
  local id, json = held[i], held[i + 1]
  if id ~= 'user' then
    local ok, session = pcall(cjson.decode, json)
    if not ok or type(session) ~= 'table' or not are_three_numbers(session.times) or not are_three_numbers(session.ttl) then
      remove(id, 'revoked', json)
    else
      local created_at, refreshed_at, last_seen_at = unpack(session.times)
      local idle_expires_at, expires_at = refreshed_at + session.ttl[2] * 1000, created_at + session.ttl[3] * 1000
      if now >= math.min(expires_at, end_of_life(created_at, absolute_life, absolute_lapsed_to)) then
        remove(id, 'expired', json)
      elseif now >= math.min(idle_expires_at, end_of_life(refreshed_at, idle_life, idle_lapsed_to)) then
        remove(id, 'idle', json)
      else
        open[#open + 1] = { id = id, json = json, seen = last_seen_at }
      end
    end
  end
end
table.sort(open, function(a, b) return a.seen < b.seen end)
for i = 1, #open - cap + 1 do remove(open[i].id, 'evicted', open[i].json) end
redis.call('HSET', key, ARGV[3], ARGV[4])
put_card(key, ARGV[5])
if redis.call('PTTL', key) < tonumber(ARGV[6]) then redis.call('PEXPIRE', key, ARGV[6]) end
return removed
`

/**
 * Puts a new state of a session in the place of the one it was made from, if that one still stands.
 *
 * Of all who refresh one token at one instant exactly one finds the state it has read; and a session that was ended
 * meanwhile is not there any more, so no late write brings it back.
 * KEYS  1 sessions:{<user>}
 * ARGV  1 session id   2 JSON that was read   3 JSON to write   4 card JSON, or '' to leave the card
 * Reply {1} | {0, JSON that stands now | nil}
 */
const swap = `${putCard}
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held ~= ARGV[2] then return { 0, held } end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[4] ~= '' then put_card(KEYS[1], ARGV[4]) end
return { 1 }
`

/**
 * Puts sessions with new pairs in the place of those they were made from, each if that one still stands, with the
 * pointers of the pair and the rest of its life for the spent one.
 *
 * In one step there is no session whose tokens lead nowhere, and no pointer of a pair that nobody gets. One script for all
 * that rotate in one turn of the event loop costs Redis and us one command for the lot; each wins or loses by itself.
 * KEYS  for each  1 sessions:{<user>}   2 at:<digest>   3 rt:<digest>   4 rt:<digest> that is spent
 * ARGV  for each  1 session id   2 JSON that was read   3 JSON to write   4 card JSON   5 what the pointers say
 *       6 and 7 their lives (ms)   8 life of the spent one (ms)
 * Reply two values for each: 1, nil | 0, JSON that stands now | nil | -1, nil where Redis could not say, as for a key that
 * somebody made of another type: it disturbs no other of the batch.
 */
const rotate = `${putCard}
local outcomes = {}
for i = 0, #KEYS / 4 - 1 do
  local key, access, refresh, spent = unpack(KEYS, i * 4 + 1, i * 4 + 4)
  local id, read, json, card, target, access_life, refresh_life, spent_life = unpack(ARGV, i * 8 + 1, i * 8 + 8)
  local held = redis.pcall('HGET', key, id)
  if held == read then
    redis.call('SET', access, target, 'PX', access_life)
    redis.call('SET', refresh, target, 'PX', refresh_life)
    redis.call('HSET', key, id, json)
    put_card(key, card)
    redis.call('PEXPIRE', spent, spent_life)
    outcomes[i * 2 + 1], outcomes[i * 2 + 2] = 1, false
  elseif type(held) == 'table' then
    outcomes[i * 2 + 1], outcomes[i * 2 + 2] = -1, false
  else
    outcomes[i * 2 + 1], outcomes[i * 2 + 2] = 0, held
  end
end
return outcomes
`

/**
 * Takes sessions out of their user's set: those named, or all.
 *
 * It answers what it has removed, so that of two that end one session only one leaves its reason behind.
 * KEYS  1 sessions:{<user>}
 * ARGV  session ids; none: all
 * Reply two values a session that was removed: id, JSON
 */
const remove = `
local key, removed = KEYS[1], {}
if #ARGV == 0 then
  local held = redis.call('HGETALL', key)
  for i = 1, #held, 2 do
    if held[i] ~= 'user' then removed[#removed + 1], removed[#removed + 2] = held[i], held[i + 1] end
  end
  redis.call('DEL', key)
else
  for _, id in ipairs(ARGV) do
    local json = id ~= 'user' and redis.call('HGET', key, id)
    if json then
      redis.call('HDEL', key, id)
      removed[#removed + 1], removed[#removed + 2] = id, json
    end
  end
  if redis.call('HLEN', key) == 1 and redis.call('HEXISTS', key, 'user') == 1 then redis.call('DEL', key) end
end
return removed
`

/**
 * Renews the card of a person who has sessions open.
 *
 * KEYS  1 sessions:{<user>}
 * ARGV  1 card JSON
 */
const card = `${putCard}
if redis.call('EXISTS', KEYS[1]) == 1 then put_card(KEYS[1], ARGV[1]) end
return 1
`

/**
 * Tells the stream of sessions that have ended, all of one person and at one time; the oldest entries make room.
 *
 * KEYS  1 revocations
 * ARGV  1 about how many entries to keep   2 life of the key (ms)   3 user id   4 time, RFC 3339
 *       then two values a session: id, reason
 */
const tell = `
for i = 5, #ARGV, 2 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*',
    'user', ARGV[3], 'session', ARGV[i], 'reason', ARGV[i + 1], 'at', ARGV[4])
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`

/**
 * Takes one session out of its user's set if it still is what was read.
 *
 * KEYS  1 sessions:{<user>}
 * ARGV  1 session id   2 JSON that was read
 */
const removeIf = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
if redis.call('HLEN', KEYS[1]) == 1 and redis.call('HEXISTS', KEYS[1], 'user') == 1 then redis.call('DEL', KEYS[1]) end
return 1
`

/**
 * Deletes a pointer, if it still says what was read.
 *
 * KEYS  1 the pointer
 * ARGV  1 what it said
 */
const unpoint = `
return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0
`

/**
 * Gives a key that would stay for ever a life.
 *
 * KEYS  1 any
 * ARGV  1 its life (ms)
 */
const expire = `
return redis.call('PTTL', KEYS[1]) == -1 and redis.call('PEXPIRE', KEYS[1], ARGV[1]) or 0
`

export interface SessionScripts {
  latchkeyLookUp(numberOfKeys: number, ...keysThenStart: string[]): Promise<(string | null)[]>
  latchkeyOpen(key: string, ...values: (string | number)[]): Promise<string[]>
  latchkeySwap(key: string, ...values: (string | number)[]): Promise<[number, (string | null)?]>
  latchkeyRotate(numberOfKeys: number, ...keysThenValues: (string | number)[]): Promise<(number | string | null)[]>
  latchkeyRemove(key: string, ...sessionIds: string[]): Promise<string[]>
  latchkeyCard(key: string, card: string): Promise<number>
  latchkeyTell(key: string, ...values: (string | number)[]): Promise<number>
  latchkeyRemoveIf(key: string, sessionId: string, json: string): Promise<number>
  latchkeyUnpoint(pointer: string, target: string): Promise<number>
  latchkeyExpire(key: string, lifeMs: number): Promise<number>
}

/** Teaches a connection the scripts; it runs them by digest and sends them again after SCRIPT FLUSH. */
export function withScripts(redis: Redis): Redis & SessionScripts {
  redis.defineCommand('latchkeyLookUp', { lua: lookUp })
  redis.defineCommand('latchkeyOpen', { lua: open, numberOfKeys: 1 })
  redis.defineCommand('latchkeySwap', { lua: swap, numberOfKeys: 1 })
  redis.defineCommand('latchkeyRotate', { lua: rotate })
  redis.defineCommand('latchkeyRemove', { lua: remove, numberOfKeys: 1 })
  redis.defineCommand('latchkeyCard', { lua: card, numberOfKeys: 1 })
  redis.defineCommand('latchkeyTell', { lua: tell, numberOfKeys: 1 })
  redis.defineCommand('latchkeyRemoveIf', { lua: removeIf, numberOfKeys: 1 })
  redis.defineCommand('latchkeyUnpoint', { lua: unpoint, numberOfKeys: 1 })
  redis.defineCommand('latchkeyExpire', { lua: expire, numberOfKeys: 1 })
  return redis as Redis & SessionScripts
}
