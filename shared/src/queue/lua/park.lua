#!lua flags=allow-oom
-- The model service holds the lease from now on, to its deadline; the worker goes home. No model examines an audio.
-- Args: id, fence, stage (plan | audio), deadline_ms, usage
-- Returns: outcome ok | moved_on (its report came first, or its time is over) | stale
local job = load(a.id)
if job and TERMINAL[job.status] then return answer({outcome = 'moved_on'}) end
if job and RANK[job.stage] > RANK[a.stage] then
  add_usage(a.id, a.usage)
  return answer({outcome = 'moved_on'})
end
if not held(a.id, a.fence) or job.stage ~= a.stage or job.stage == 'finish' then return answer({outcome = 'stale'}) end
if job.parked then return answer({outcome = 'ok'}) end -- sent twice
if overdue(a.id, job) then return answer({outcome = 'moved_on'}) end
add_usage(a.id, a.usage)
redis.call('HSET', key('job', a.id), 'parked', 1, 'parked_ms', now)
redis.call('ZADD', key('lease'), now + a.deadline_ms, a.id)
log(a.id, job, 'job:status', {reason = 'parked'})
return answer({outcome = 'ok'})
