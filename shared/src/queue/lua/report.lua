#!lua flags=allow-oom
-- Uses: estimate
-- A model has delivered; what it delivered is stored already. Accepted wherever a live job of that render key stands.
-- Args: id, stage (plan | audio), render? (none: a role token, while a model holds the job), usage
-- Returns: outcome ok | repeat | wrong_render | not_parked | ended | unknown
local job = load(a.id)
if not job then return answer({outcome = 'unknown'}) end
local render = table.concat({a.id, a.stage, job.seed, job.generation}, ':')
if a.render and a.render ~= render then return answer({outcome = 'wrong_render'}) end
if job.status == 'completed' or not TERMINAL[job.status] and RANK[job.stage] > RANK[a.stage] then return answer({outcome = 'repeat'}) end
if TERMINAL[job.status] then return answer({outcome = 'ended'}) end
if not a.render and not (job.parked and job.stage == a.stage) then return answer({outcome = 'not_parked'}) end
redis.call('ZREM', key('start_by'), a.id) -- what was delivered had started
if overdue(a.id, job) then return answer({outcome = 'ended'}) end
lift(a.id, job)
add_usage(a.id, a.usage)
sample_stage(a.id, a.stage)
if a.stage == 'audio' then
  learn_pace(a.id, job)
  made_room()
  job.stage = 'finish'
  set_status(a.id, job, 'processing')
  redis.call('ZADD', key('finish'), now, a.id)
else
  job.stage = 'audio'
  requeue(a.id, job, 0)
end
redis.call('HSET', key('job', a.id), 'stage', job.stage)
log(a.id, job, 'job:status', {reason = 'delivered'})
refresh(job.tenant)
return answer({outcome = 'ok'})
