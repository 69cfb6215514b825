#!lua flags=allow-oom
-- What an ended job owed is noted: it leaves the outbox and is kept for the retention time, or until its tenant has too many.
-- Args: id, generation
-- Returns: outcome ok | stale (retried meanwhile) ; first (it left the outbox by this call)
local job = load(a.id)
if not job or not TERMINAL[job.status] or tonumber(job.generation) ~= a.generation then return answer({outcome = 'stale'}) end
local first = redis.call('ZREM', key('outbox'), a.id) == 1
local track = job.status == 'completed' and redis.call('GET', key('outcome', a.id))
if track then redis.call('SET', key('outcome', a.id), slim(track)) end
redis.call('ZADD', key('kept', job.tenant), 'NX', now + policy.retention_ms, a.id)
let_go(job.tenant)
return answer({outcome = 'ok', first = first})
