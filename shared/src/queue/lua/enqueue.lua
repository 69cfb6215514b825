#!lua
-- Uses: rate, estimate
-- Puts an accepted job into its tenant's line, or puts one that Redis has forgotten back to its old place; or enters one that the
-- result cache has answered as completed.
-- Args: id, tenant, user, level, created_ms, start_by_ms, finish_by_ms, fields {name: text}, tags [text],
--   restored? {stage, generation}, limited? (the limits apply), final? (a refusal kills the id), reason? (why it is restored), track? (JSON text: from the cache)
-- Returns: outcome enqueued | exists | full | limited {retry_ms} | refused (the id is dead); quota?. No allow-oom: a full Redis refuses
--   new work and can still end old work.
if redis.call('EXISTS', key('job', a.id)) == 1 then return answer({outcome = 'exists'}) end
if redis.call('EXISTS', key('refused', a.id)) == 1 then return answer({outcome = 'refused'}) end
local refusal, quota
if a.limited then refusal, quota = refused(a.tenant, a.track) end
-- A fact, as acceptance is one: whoever finds what is stored of the request may not bring it back.
if refusal and a.final then bury(a.id, policy.refused_ms) end
if refusal then return answer(refusal) end
-- Sixty-four places a millisecond: the creation time alone gives a forgotten job its old place back.
local order = a.created_ms * 64
local job = {tenant = a.tenant, user = a.user, status = 'queued', stage = 'plan', attempt = 1, level = a.level, created_ms = a.created_ms}
if a.restored then
  -- A worker that finds the audio in the store advances by itself.
  job.stage = a.restored.stage == 'finish' and 'audio' or a.restored.stage
  job.generation = a.restored.generation
else
  order = math.max(order, tonumber(redis.call('HGET', key('clock'), 'order') or 0) + 1)
  redis.call('HSET', key('clock'), 'order', order)
  count('submitted')
end
-- A log that grew slower than one event a millisecond never gets the same number twice. Who repeats a request may come behind an
-- acceptance that Redis has forgotten.
if a.restored or not a.final then job.event_base = math.max(0, now - a.created_ms) end
if a.track then job.stage, job.cached = 'finish', 1 end
job.order, job.start_by_ms, job.finish_by_ms = order, a.start_by_ms, a.finish_by_ms
for name, value in pairs(a.fields) do job[name] = job[name] or value end
for n, tag in ipairs(a.tags) do job['tag' .. n] = tag end
local flat = {}
for name, value in pairs(job) do
  flat[#flat + 1] = name
  flat[#flat + 1] = value
end
redis.call('HSET', key('job', a.id), unpack(flat))
for _, tag in ipairs(a.tags) do redis.call('ZADD', key('by_user', a.user, '#' .. tag), a.created_ms, a.id) end
if a.track then
  redis.call('SET', key('outcome', a.id), a.track)
  finish(a.id, job, 'completed')
  count('cached')
  return answer({outcome = 'enqueued', quota = quota})
end
if job.stage == 'plan' then redis.call('ZADD', key('start_by'), a.start_by_ms, a.id) end -- a restored job with a plan had started
redis.call('ZADD', key('finish_by'), a.finish_by_ms, a.id)
set_status(a.id, job, 'queued')
stand(a.id, job)
if job.event_base then log(a.id, job, 'job:status', {reason = a.reason or a.restored and 'restored' or 'enqueued'}) end
if not a.restored then
  for _, name in ipairs({key('eta'), key('tenant', a.tenant)}) do inflow(name, a.level, job.cost) end
  redis.call('HSET', key('job', a.id), 'guess_ms', (guess(a.id, job)))
  give_notice(a.id, job)
end
refresh(a.tenant)
return answer({outcome = 'enqueued', quota = quota})
