-- Sends every request of a list in turn, and prints what came of it as one line of JSON.
-- Many, because with a single one every cache between here and Redis would hold all that is ever asked for.
-- args   1 file of requests, one a line: the body (none: a GET) and the header fields, with a tab before each
-- prints {"requests", "durationUs", "p50Us", "p99Us", "failed"}, failed being everything that is not an answer below 400

local requests, at = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    local body, fields = line:match('^([^\t]*)(.*)$')
    local headers = {}
    for name, value in fields:gmatch('\t([^\t:]+): ([^\t]*)') do headers[name] = value end
    requests[#requests + 1] = body == '' and wrk.format('GET', nil, headers) or wrk.format('POST', nil, headers, body)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"failed":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout + errors.status
  ))
end
