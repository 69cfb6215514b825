#!lua flags=allow-oom
-- Ends a live job at its owner's wish and frees its slot at once.
-- Args: id, reason
-- Returns: outcome ok | ended (status says how) | unknown
local job = load(a.id)
if not job then return answer({outcome = 'unknown'}) end
if TERMINAL[job.status] then return answer({outcome = 'ended', status = job.status}) end
finish(a.id, job, 'cancelled', {reason = a.reason})
return answer({outcome = 'ok', status = 'cancelled'})
