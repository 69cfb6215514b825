#!lua flags=allow-oom
-- Uses: lines, delivery
-- What became of a message that was taken. Whoever took it later has the last word, unless it arrived. Only a call counts as a try.
-- Args: id, generation, target, take, state (delivered | pending | given_up | disabled), again_ms? (of pending), url?, failing?
--   (name under which the endpoint's failures are counted), attempt? {ms, status?, reason?} (absent: nobody was called), log (attempts kept),
--   host? (answered | failed), faults_most, rest_ms (with the caller's jitter), rest_most_ms
-- Returns: outcome ok | stale ; over? (objects that are not needed any more), failing_ms? (how long the endpoint has failed),
--   rest_ms? (how long the line rests now)
local own = tonumber(redis.call('HGET', key('delivery', a.id), 'generation') or nil)
local record = delivery(a.id, a.target)
if not record or own ~= a.generation then return cjson.encode({outcome = 'stale'}) end
if record.told == a.take then
  local _, over = pending(a.id) -- sent twice
  return cjson.encode({outcome = 'ok', over = over})
end
local last = record.takes == a.take
if record.state ~= 'pending' or not (last or a.state == 'delivered') then return cjson.encode({outcome = 'stale'}) end

local rest_ms = show(record.line, a.host)
record.state, record.url, record.told = a.state, a.url or record.url, a.take
if a.attempt then
  record.tries = record.tries + 1
  local attempts = record.attempts or {}
  a.attempt.at = now - a.attempt.ms
  attempts[#attempts + 1] = a.attempt
  if #attempts > a.log then table.remove(attempts, 1) end
  record.attempts = attempts
end
if a.state == 'pending' then
  land(record.line, member(a.id, a.target))
  stand_until(a.id, a.target, record, now + a.again_ms)
else
  leave_line(a.id, a.target, record)
  write(a.id, a.target, record)
end
look_from(record.line, now + (rest_ms or 0))

local failing_ms
if a.failing and a.state == 'delivered' then
  redis.call('HDEL', key('failing'), a.failing)
elseif a.failing then
  redis.call('HSETNX', key('failing'), a.failing, now)
  failing_ms = now - redis.call('HGET', key('failing'), a.failing)
end
local _, over = pending(a.id)
return cjson.encode({outcome = 'ok', over = over, failing_ms = failing_ms, rest_ms = rest_ms})
