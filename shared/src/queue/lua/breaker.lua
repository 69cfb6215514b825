#!lua flags=allow-oom
-- What a call showed of a model service: after `most` failures in a row it is left alone for `open_ms`, then one call in each such
-- span is let through, until one goes well. A busy one is left alone for as long as it asked. Sent twice, a failure counts twice.
-- Args: service, said (failed | answered | busy | asked), most, open_ms, busy_ms?, hold (true: no job can go on without it)
-- Returns: outcome closed | open {wait_ms}
local name, open_name, at_name = key('breaker'), a.service .. ':until', a.service .. ':at'
local known = redis.call('HMGET', name, a.service, open_name, at_name)
local failures, open_until = tonumber(known[1]) or 0, tonumber(known[2]) or 0
-- The line waits: no worker is given a job that would only be given back.
local function hold(why, ms)
  if a.hold and redis.call('PTTL', key('hold')) < ms then redis.call('SET', key('hold'), why, 'PX', ms) end
end
local function leave_alone(ms)
  redis.call('HSET', name, open_name, now + ms)
  hold('down', ms)
  return answer({outcome = 'open', wait_ms = ms})
end

if a.said == 'asked' then
  if failures < a.most then return answer({outcome = 'closed'}) end
  if now < open_until then
    hold('down', open_until - now) -- another service that answered may have ended the wait
    return answer({outcome = 'open', wait_ms = open_until - now})
  end
  leave_alone(a.open_ms) -- for all but this call
  return answer({outcome = 'closed'})
end
if a.said == 'failed' then
  -- Failures that lie far apart are not one outage.
  if failures < a.most and now - (tonumber(known[3]) or 0) > a.open_ms then failures = 0 end
  redis.call('HSET', name, a.service, failures + 1, at_name, now)
  if failures + 1 >= a.most then return leave_alone(a.open_ms) end
  return answer({outcome = 'closed'})
end
redis.call('HDEL', name, a.service, open_name, at_name)
if a.hold and failures >= a.most then redis.call('DEL', key('hold')) end
if a.said == 'busy' then
  hold('busy', a.busy_ms)
  return answer({outcome = 'open', wait_ms = a.busy_ms})
end
return answer({outcome = 'closed', ring = owed(eligible(10))})
