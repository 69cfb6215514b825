#!lua flags=allow-oom
-- Gives a job back the places that Redis has evicted while it kept the record: its line, its clocks, its lists, the outbox.
-- Args: id
-- Returns: outcome whole | mended (it stood nowhere and stands in line again) | unknown
local job = load(a.id)
if not job then return answer({outcome = 'unknown'}) end
for _, owner in ipairs({job.user, '*'}) do redis.call('ZADD', key('by_user', owner, job.status), job.created_ms, a.id) end
for n = 1, TAGS do
  if job['tag' .. n] then redis.call('ZADD', key('by_user', job.user, '#' .. job['tag' .. n]), job.created_ms, a.id) end
end
if TERMINAL[job.status] then
  if not redis.call('ZSCORE', key('kept', job.tenant), a.id) then redis.call('ZADD', key('outbox'), 'NX', now, a.id) end
  return answer({outcome = 'whole'})
end
redis.call('ZADD', key('finish_by'), 'NX', job.finish_by_ms, a.id)
if job.stage == 'plan' and not job.started_ms then redis.call('ZADD', key('start_by'), 'NX', job.start_by_ms, a.id) end
redis.call('ZADD', key('tenants'), 0, job.tenant)
local stands = redis.call('ZSCORE', key('q', job.tenant), a.id)
for _, name in ipairs({'lease', 'delayed', 'finish'}) do stands = stands or redis.call('ZSCORE', key(name), a.id) end
if not stands then
  lift(a.id, job)
  requeue(a.id, job, 0)
  log(a.id, job, 'job:status', {reason = 'restored'})
elseif redis.call('ZSCORE', key('lease'), a.id) then
  redis.call('ZADD', key('run', job.tenant), 'NX', now, a.id)
end
refresh(job.tenant)
return answer({outcome = stands and 'whole' or 'mended'})
