-- Spends tokens: each is sent once, and a refresh puts the token it was given at the end of the line.
-- args   1 file of tokens, one a line, more of them than will be spent   2 refresh or logout
-- prints what wrk.lua prints

local tokens, first, last, kind = {}, 1, 0, nil

local function add(token)
  last = last + 1
  tokens[last] = token
end

function init(args)
  kind = args[2]
  for token in io.lines(args[1]) do add(token) end
  if kind ~= 'refresh' then response = nil end -- wrk reads the answers only for whoever wants them
end

function request()
  local token = tokens[first] or 'none-is-left'
  tokens[first] = nil
  first = first + 1
  if kind == 'logout' then
    return wrk.format('POST', '/v1/auth/logout', { Authorization = 'Bearer ' .. token })
  end
  return wrk.format(
    'POST', '/v1/auth/refresh', { ['Content-Type'] = 'application/json' }, '{"refresh_token":"' .. token .. '"}'
  )
end

function response(status, _, body)
  local token = status == 200 and string.match(body, '"refresh_token":"([^"]+)"')
  if token then add(token) end
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"failed":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout + errors.status
  ))
end
