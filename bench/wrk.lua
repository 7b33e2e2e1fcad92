-- Sends every request with the next of many access tokens, and prints what came of it as one line of JSON.
-- Many, because with a single one every cache between here and Redis would hold all that is ever asked for.
-- args   1 file of tokens, one a line
-- prints {"requests", "durationUs", "p50Us", "p99Us", "failed"}, failed being everything that is not an answer below 400

local requests, at = {}, 0

function init(args)
  for token in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format('GET', nil, { Authorization = 'Bearer ' .. token })
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
