#!lua flags=allow-oom
-- Uses: rate, estimate
-- All that Redis knows of one job, and why it waits, which is true at this moment.
-- Args: id, tenant? (whose reads count)
-- Returns: outcome found | unknown | limited {retry_ms}; quota? (of the tenant); fields, result, logged (events kept); of an ended one unrecorded (its
--   manifest may not be written yet); of a waiting one position (0 = next
--   in its own line), eta? {p50, p90} (ms), waiting {code, ahead?, until_ms?}
local retry_ms, quota
if a.tenant then retry_ms, quota = limited('read', a.tenant, policy.read_per_minute) end
if retry_ms then return cjson.encode({outcome = 'limited', retry_ms = retry_ms, quota = quota}) end
local job = load(a.id)
if not job then return cjson.encode({outcome = 'unknown', quota = quota}) end
local found = {outcome = 'found', quota = quota, fields = job, result = redis.call('GET', key('outcome', a.id)) or nil, logged = redis.call('LLEN', key('events', a.id))}
if TERMINAL[job.status] then found.unrecorded = redis.call('ZSCORE', key('outbox'), a.id) ~= false end
if job.status ~= 'queued' then return cjson.encode(found) end
if job.stage == 'finish' then
  found.waiting = {code = 'finish', until_ms = tonumber(redis.call('ZSCORE', key('finish'), a.id) or nil)}
  return cjson.encode(found)
end

found.position = redis.call('ZRANK', key('q', job.tenant), a.id) or nil
local own = redis.call('HMGET', key('tenant', job.tenant), 'cap', 'paused')
local hold_ms = redis.call('PTTL', key('hold')) -- -2: no hold, -1: no end
local why, until_ms
if job.delayed_ms then
  why, until_ms = 'retry_delay', tonumber(job.delayed_ms)
elseif paused() then
  why = 'queue_paused'
elseif own[2] == '1' then
  why = 'tenant_paused'
elseif hold_ms ~= -2 then
  why = redis.call('GET', key('hold')) == 'busy' and 'busy' or 'hold'
  until_ms = hold_ms > 0 and now + hold_ms or nil
elseif found.position and found.position > 0 then
  why = 'line'
elseif redis.call('ZCARD', key('run', job.tenant)) >= (tonumber(own[1]) or policy.cap) then
  why = 'cap'
elseif free_slots() <= 0 then
  why = 'slots'
elseif (redis.call('ZRANK', key('ready'), job.tenant) or 0) >= free_slots() then
  why = 'turn'
else
  why = 'starting'
end
found.waiting = {code = why, ahead = found.position, until_ms = until_ms}
if why ~= 'queue_paused' and why ~= 'tenant_paused' and why ~= 'hold' then found.eta = eta(a.id, job) end
return cjson.encode(found)
