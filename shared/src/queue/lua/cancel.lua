#!lua flags=allow-oom
-- Ends a live job at its owner's wish and frees its slot at once.
-- Args: id, reason, call (the same where the script is sent twice: it is then answered the same)
-- Returns: outcome ok | ended (status says how) | unknown
local job = load(a.id)
if not job then return answer({outcome = 'unknown'}) end
if job.status == 'cancelled' and job.call == a.call then return answer({outcome = 'ok', status = 'cancelled'}) end
if TERMINAL[job.status] then return answer({outcome = 'ended', status = job.status}) end
finish(a.id, job, 'cancelled', {reason = a.reason})
redis.call('HSET', key('job', a.id), 'call', a.call)
return answer({outcome = 'ok', status = 'cancelled'})
