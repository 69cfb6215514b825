#!lua flags=allow-oom
-- What an ended job owed is noted: it leaves the outbox and may be forgotten after the retention time.
-- Args: id, generation
-- Returns: outcome ok | stale (retried meanwhile) ; first (it left the outbox by this call)
local job = load(a.id)
if not job or not TERMINAL[job.status] or tonumber(job.generation) ~= a.generation then return answer({outcome = 'stale'}) end
local first = redis.call('ZREM', key('outbox'), a.id) == 1
for _, name in ipairs({'job', 'outcome', 'events'}) do redis.call('PEXPIRE', key(name, a.id), policy.retention_ms) end
return answer({outcome = 'ok', first = first})
