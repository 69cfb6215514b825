#!lua
-- Uses: rate
-- Starts an ended job afresh at a person's wish: new attempts, both clocks restarted, the next generation.
-- Args: id, generation (the new one), start_by_ms, finish_by_ms, reason, limited? (the limits of a submission apply)
-- Returns: outcome ok | completed | live | unknown | full | limited {retry_ms}; quota?
local job = load(a.id)
if not job then return answer({outcome = 'unknown'}) end
if job.status == 'completed' then return answer({outcome = 'completed'}) end
if tonumber(job.generation) >= a.generation then return answer({outcome = 'ok'}) end -- sent twice
if not TERMINAL[job.status] then return answer({outcome = 'live'}) end
local refusal, quota
if a.limited then refusal, quota = refused(job.tenant) end
if refusal then return answer(refusal) end
for _, name in ipairs({'job', 'events'}) do redis.call('PERSIST', key(name, a.id)) end
for _, name in ipairs({'outbox', 'dead'}) do redis.call('ZREM', key(name), a.id) end
redis.call('DEL', key('outcome', a.id))
redis.call('HDEL', key('job', a.id), 'started_ms', 'completed_ms', 'parked_ms')
redis.call('HSET', key('job', a.id), 'attempt', 1, 'generation', a.generation, 'start_by_ms', a.start_by_ms, 'finish_by_ms', a.finish_by_ms)
redis.call('ZADD', key('start_by'), a.start_by_ms, a.id)
redis.call('ZADD', key('finish_by'), a.finish_by_ms, a.id)
job.attempt = 1
if job.stage == 'finish' then
  job.stage = 'audio'
  redis.call('HSET', key('job', a.id), 'stage', 'audio')
end
requeue(a.id, job, 0)
log(a.id, job, 'job:status', {reason = a.reason})
refresh(job.tenant)
return answer({outcome = 'ok', quota = quota})
