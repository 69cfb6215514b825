#!lua flags=allow-oom
-- A job has a manifest of another state than Redis believes it to be in: Redis was rolled back. The manifest is right.
-- Args: id, generation, status, stage, attempt, seed, seq (its newest event), result? (JSON text)
-- Returns: outcome ok | ended (nothing to do) | newer (retried since the manifest) | unknown
local job = load(a.id)
if not job then return answer({outcome = 'unknown'}) end
if tonumber(job.generation) > a.generation then return answer({outcome = 'newer'}) end
if job.status == a.status and tonumber(job.generation) == a.generation then return answer({outcome = 'ended'}) end
lift(a.id, job)
-- It may have ended, and been settled, before a retry that Redis has forgotten.
redis.call('PERSIST', key('job', a.id))
redis.call('ZREM', key('dead'), a.id)
if a.result then redis.call('SET', key('outcome', a.id), a.result) else redis.call('DEL', key('outcome', a.id)) end
redis.call('HSET', key('job', a.id), 'generation', a.generation, 'stage', a.stage, 'attempt', a.attempt, 'seed', a.seed, 'event_base', a.seq)
redis.call('DEL', key('events', a.id)) -- its numbers were given to other events
job.stage, job.attempt, job.event_base = a.stage, a.attempt, a.seq
finish(a.id, job, a.status, {reason = 'restored'})
return answer({outcome = 'ok'})
