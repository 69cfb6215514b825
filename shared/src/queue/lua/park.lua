#!lua flags=allow-oom
-- The model service holds the lease from now on, to its deadline; the worker goes home.
-- Args: id, fence, stage, deadline_ms, usage
-- Returns: outcome ok | moved_on (its report came first) | stale
local job = load(a.id)
if job and not TERMINAL[job.status] then add_usage(a.id, a.usage) end
if job and (TERMINAL[job.status] or RANK[job.stage] > RANK[a.stage]) then return answer({outcome = 'moved_on'}) end
if not held(a.id, a.fence) then return answer({outcome = 'stale'}) end
redis.call('HSET', key('job', a.id), 'parked', 1, 'parked_ms', now)
redis.call('ZADD', key('lease'), now + a.deadline_ms, a.id)
log(a.id, job, 'job:status', {reason = 'parked'})
return answer({outcome = 'ok'})
