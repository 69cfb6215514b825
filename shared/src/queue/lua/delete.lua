#!lua flags=allow-oom
-- Uses: delivery
-- Forgets an ended job. Its files go first: what is left of a broken-off delete is a record without files.
-- Args: id
-- Returns: outcome ok | live
local job = load(a.id)
if job and not TERMINAL[job.status] then return answer({outcome = 'live', ring = 0}) end
forget_deliveries(a.id)
if job then forget(a.id, job) end
return answer({outcome = 'ok', ring = 0})
