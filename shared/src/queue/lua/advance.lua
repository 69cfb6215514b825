#!lua flags=allow-oom
-- Uses: estimate
-- Checkpoint: the stage before `to` is done and stored. Entering `finish` frees the slot.
-- Args: id, fence, to (audio | finish), lease_ms, usage {name: ms}
-- Returns: outcome ok | stale
local job = held(a.id, a.fence)
if not job or job.parked or RANK[job.stage] > RANK[a.to] then return answer({outcome = 'stale'}) end
if job.stage == a.to then return answer({outcome = 'ok'}) end -- sent twice
local before = job.stage
job.stage = a.to
redis.call('HSET', key('job', a.id), 'stage', a.to)
redis.call('HDEL', key('job', a.id), 'current', 'total', 'percentage', 'message')
add_usage(a.id, a.usage)
sample_stage(a.id, before)
if a.to == 'finish' then
  learn_pace(a.id, job)
  made_room()
  vacate(a.id, job)
  redis.call('HSET', key('job', a.id), 'finish_takes', 1)
  redis.call('ZADD', key('finish'), now + a.lease_ms, a.id)
else
  redis.call('ZADD', key('lease'), now + a.lease_ms, a.id)
end
log(a.id, job, 'job:status', {reason = 'advanced'})
refresh(job.tenant)
return answer({outcome = 'ok'})
