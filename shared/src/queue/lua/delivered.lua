#!lua flags=allow-oom
-- Uses: delivery
-- What became of a message that was taken. Whoever took it later has the last word, unless it arrived.
-- Args: id, generation, target, tries (as taken), state (delivered | pending | given_up | disabled), again_ms? (of pending), url?, failing?
--   (name under which the endpoint's failures are counted), attempt {ms, status?, reason?}, log (attempts kept)
-- Returns: outcome ok | stale ; pending (messages of the job that are not over), failing_ms? (how long the endpoint has failed)
local own = tonumber(redis.call('HGET', key('delivery', a.id), 'generation') or nil)
local text = redis.call('HGET', key('delivery', a.id), a.target)
local record = text and cjson.decode(text)
if not record or own ~= a.generation then return cjson.encode({outcome = 'stale'}) end
if record.told == a.tries then return cjson.encode({outcome = 'ok', pending = pending(a.id)}) end -- sent twice
local mine = record.state == 'pending' and (record.tries == a.tries or a.state == 'delivered')
if not mine then return cjson.encode({outcome = 'stale'}) end

record.state, record.url, record.told = a.state, a.url or record.url, a.tries
local attempts = record.attempts or {}
a.attempt.at = now - a.attempt.ms
attempts[#attempts + 1] = a.attempt
if #attempts > a.log then table.remove(attempts, 1) end
record.attempts = attempts
write(a.id, a.target, record)
if a.state == 'pending' then
  redis.call('ZADD', key('deliveries'), now + a.again_ms, member(a.id, a.target))
else
  redis.call('ZREM', key('deliveries'), member(a.id, a.target))
end

local failing_ms
if a.failing and a.state == 'delivered' then
  redis.call('HDEL', key('failing'), a.failing)
elseif a.failing then
  redis.call('HSETNX', key('failing'), a.failing, now)
  failing_ms = now - redis.call('HGET', key('failing'), a.failing)
end
return cjson.encode({outcome = 'ok', pending = pending(a.id), failing_ms = failing_ms})
