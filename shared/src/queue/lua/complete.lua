#!lua flags=allow-oom
-- Uses: estimate
-- The track is stored: the job is done.
-- Args: id, fence, track (JSON text), usage, cache [digest] (under which its tenant finds it again)
-- Returns: outcome ok | stale
local job = held(a.id, a.fence)
if not job or job.stage ~= 'finish' then
  job = load(a.id)
  -- Sent twice, after a lost answer: it may have been settled in between.
  local track = job and job.status == 'completed' and redis.call('GET', key('outcome', a.id))
  local same = track and slim(track) == slim(a.track)
  return answer({outcome = same and 'ok' or 'stale'})
end
redis.call('SET', key('outcome', a.id), a.track)
add_usage(a.id, a.usage)
sample_stage(a.id, 'finish')
for n, digest in ipairs(a.cache) do
  redis.call('SET', key('cache', job.tenant, digest), a.id, 'PX', policy.retention_ms)
  redis.call('HSET', key('job', a.id), 'answers' .. n, digest)
end
finish(a.id, job, 'completed')
return answer({outcome = 'ok'})
