-- For wrk: polls many jobs, one after the other, and checks each answer.
--
-- Arguments: a file with a path for each job, the header `authorization`, and how many milliseconds a caller
-- waits between two polls, on average.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  paths = {}
  for path in io.lines(arguments[1]) do
    table.insert(paths, path)
  end
  headers = { authorization = arguments[2] }
  pause = tonumber(arguments[3])
  at = 0
  wrong = 0
  math.randomseed(1)
end

function request()
  at = at % #paths + 1
  return wrk.format("GET", paths[at], headers)
end

function delay()
  return math.floor(pause * (0.5 + math.random()) + 0.5)
end

function response(status, _, body)
  if status ~= 200 or not body:find('"job_state":"running"', 1, true) then
    wrong = wrong + 1
    example = status .. " " .. body
  end
end

function done(summary, latency)
  local answered_wrong = 0
  for _, thread in ipairs(threads) do
    answered_wrong = answered_wrong + thread:get("wrong")
    if thread:get("example") then
      io.write("\nfor example: ", thread:get("example"), "\n")
    end
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "wrong": %d, "unanswered": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests,
    answered_wrong,
    errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6,
    latency:percentile(50) / 1000,
    latency:percentile(99) / 1000
  ))
end
