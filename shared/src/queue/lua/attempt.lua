#!lua
-- Counts an attempt against every limit that it falls under; over one of them it counts against none. The generic cell rate
-- algorithm: a minute's worth may come at once.
-- Args: limits [{kind, who, per_minute}], at most 4, the one to tell of first
-- Returns: outcome ok {left, full_ms: of the first limit} | limited {at: which, from 0; retry_ms}
local dues = {}
local worst = {at = -1, retry_ms = 0}
for i = 1, math.min(#a.limits, 4) do
  local limit = a.limits[i]
  local due = tonumber(redis.call('GET', key('rate', limit.kind, limit.who))) or 0
  dues[i] = math.max(now, due) + 60000 / limit.per_minute
  local over = math.ceil(dues[i] - now - 60000)
  if over > worst.retry_ms then worst = {at = i - 1, retry_ms = over} end
end
if worst.at >= 0 then
  return answer({outcome = 'limited', at = worst.at, retry_ms = worst.retry_ms, ring = 0})
end
for i, due in ipairs(dues) do
  redis.call('SET', key('rate', a.limits[i].kind, a.limits[i].who), string.format('%.3f', due), 'PX', 60000)
end
local full_ms = dues[1] and math.ceil(dues[1] - now) or 0
local left = dues[1] and math.floor((60000 - (dues[1] - now)) * a.limits[1].per_minute / 60000 + 0.001) or 0
return answer({outcome = 'ok', left = left, full_ms = full_ms, ring = 0})
