#!lua
-- Puts an accepted job into its tenant's line, or puts one that Redis has forgotten back to its old place.
-- Args: id, tenant, user, level, created_ms, start_by_ms, finish_by_ms, fields {name: text}, request (JSON text), tags [text],
--   restored? {stage, generation}
-- Returns: outcome enqueued | exists | full. No allow-oom: a full Redis refuses new work and can still end old work.
local outcome = 'enqueued'
if redis.call('EXISTS', key('job', a.id)) == 1 then
  outcome = 'exists'
elseif not a.restored and redis.call('ZCARD', key('q', a.tenant)) >= policy.max_queued then
  outcome = 'full'
end
if outcome ~= 'enqueued' then return answer({outcome = outcome}) end

-- Sixty-four places a millisecond: the creation time alone gives a forgotten job its old place back.
local order = a.created_ms * 64
local job = {tenant = a.tenant, user = a.user, status = 'queued', stage = 'plan', attempt = 1, level = a.level, created_ms = a.created_ms}
if a.restored then
  -- A worker that finds the audio in the store advances by itself.
  job.stage = a.restored.stage == 'finish' and 'audio' or a.restored.stage
  job.generation = a.restored.generation
  -- A log that grew slower than one event a millisecond never gets the same number twice.
  job.event_base = math.max(0, now - a.created_ms)
else
  order = math.max(order, tonumber(redis.call('HGET', key('clock'), 'order') or 0) + 1)
  redis.call('HSET', key('clock'), 'order', order)
end
job.order = order
for name, value in pairs(a.fields) do redis.call('HSET', key('job', a.id), name, value) end
for name, value in pairs(job) do redis.call('HSET', key('job', a.id), name, value) end
redis.call('HSET', key('job', a.id), 'start_by_ms', a.start_by_ms, 'finish_by_ms', a.finish_by_ms)
redis.call('SET', key('request', a.id), a.request)
if job.stage == 'plan' then redis.call('ZADD', key('start_by'), a.start_by_ms, a.id) end -- a restored job with a plan had started
redis.call('ZADD', key('finish_by'), a.finish_by_ms, a.id)
for _, owner in ipairs({a.user, '*'}) do
  enlist(key('by_user', owner), a.id, a.created_ms)
  for _, tag in ipairs(a.tags) do enlist(key('by_user', owner, '#' .. tag), a.id, a.created_ms) end
end
set_status(a.id, job, 'queued')
stand(a.id, job)
log(a.id, job, 'job:status', {reason = a.restored and 'restored' or 'enqueued'})
refresh(a.tenant)
return answer({outcome = outcome})
