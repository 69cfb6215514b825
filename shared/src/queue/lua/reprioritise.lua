#!lua flags=allow-oom
-- Moves a live job to another level, behind those that came before it.
-- Args: id, level, reason, call (the same where the script is sent twice: it is then answered the same)
-- Returns: outcome ok | same (it stands there already) | ended (status says how) | unknown
local job = load(a.id)
if not job then return answer({outcome = 'unknown'}) end
if TERMINAL[job.status] then return answer({outcome = 'ended', status = job.status}) end
if tonumber(job.level) == a.level then return answer({outcome = job.call == a.call and 'ok' or 'same'}) end
local waits = redis.call('ZSCORE', key('q', job.tenant), a.id)
if waits then leave(a.id, job) end
job.level = a.level
redis.call('HSET', key('job', a.id), 'level', a.level, 'call', a.call)
redis.call('HDEL', key('job', a.id), 'guess_ms') -- it was made for another place
if waits then place(a.id, job) end
log(a.id, job, 'job:status', {reason = a.reason})
refresh(job.tenant)
return answer({outcome = 'ok'})
