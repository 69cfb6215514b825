#!lua flags=allow-oom
-- What an ended job owed is done: it leaves the outbox and may be forgotten after the retention time.
-- Or not yet: it is tried again after `again_ms`, doubled with each try, at most 512 times as long.
-- Args: id, generation, again_ms? (with the caller's jitter)
-- Returns: outcome ok | stale (retried meanwhile) ; tries ; first (it left the outbox by this call)
local job = load(a.id)
if not job or not TERMINAL[job.status] or tonumber(job.generation) ~= a.generation then return answer({outcome = 'stale'}) end
if a.again_ms then
  local tries = redis.call('HINCRBY', key('job', a.id), 'settle_tries', 1)
  redis.call('ZADD', key('outbox'), 'XX', now + a.again_ms * 2 ^ math.min(tries - 1, 9), a.id)
  return answer({outcome = 'ok', tries = tries})
end
local first = redis.call('ZREM', key('outbox'), a.id) == 1
for _, name in ipairs({'job', 'outcome', 'events'}) do redis.call('PEXPIRE', key(name, a.id), policy.retention_ms) end
return answer({outcome = 'ok', first = first})
