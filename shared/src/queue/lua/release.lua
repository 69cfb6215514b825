#!lua flags=allow-oom
-- Gives the job back unharmed: no attempt is used up. In `finish` it only becomes due again.
-- Args: id, fence, delay_ms, reason, usage
-- Returns: outcome ok | stale
local job = held(a.id, a.fence)
if not job and gave_back(a.id, a.fence) then return answer({outcome = 'ok'}) end -- sent twice
if not job or job.parked then return answer({outcome = 'stale'}) end
add_usage(a.id, a.usage)
if job.stage == 'finish' then
  redis.call('HDEL', key('job', a.id), 'fence')
  redis.call('HINCRBY', key('job', a.id), 'finish_takes', -1)
  redis.call('ZADD', key('finish'), now + a.delay_ms, a.id)
else
  lift(a.id, job, true)
  requeue(a.id, job, a.delay_ms)
end
redis.call('HSET', key('job', a.id), 'gave_back', a.fence)
log(a.id, job, 'job:status', {reason = a.reason})
refresh(job.tenant)
return answer({outcome = 'ok'})
