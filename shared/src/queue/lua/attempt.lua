#!lua flags=allow-oom
-- Uses: rate
-- Counts an attempt against every limit that it falls under; over one of them it counts against none.
-- Args: limits [{kind, who, per_minute}], at most 4, the one to tell of first
-- Returns: outcome ok {left, full_ms: of the first limit} | limited {at: which, from 0; retry_ms}
local calls = {}
local worst = {at = -1, retry_ms = 0}
for i = 1, math.min(#a.limits, 4) do
  local limit = a.limits[i]
  calls[i] = weigh(limit.kind, limit.who, limit.per_minute)
  if calls[i].over > worst.retry_ms then worst = {at = i - 1, retry_ms = calls[i].over} end
end
if worst.at >= 0 then
  return answer({outcome = 'limited', at = worst.at, retry_ms = worst.retry_ms, ring = 0})
end
for _, call in ipairs(calls) do spend(call) end
local first = calls[1]
local full_ms = first and math.ceil(first.due - now) or 0
local left = first and remaining(first.due, a.limits[1].per_minute) or 0
return answer({outcome = 'ok', left = left, full_ms = full_ms, ring = 0})
