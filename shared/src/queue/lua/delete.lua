#!lua flags=allow-oom
-- Uses: lines, delivery
-- Forgets an ended job and lets nobody bring it back; a retry at the same time comes before or after, not in between.
-- Its tombstone and its files follow: a delete that breaks off here has not happened, and may be repeated.
-- Args: id
-- Returns: outcome ok | live
local job = load(a.id)
if job and not TERMINAL[job.status] then return answer({outcome = 'live', ring = 0}) end
bury(a.id, policy.deleted_ms)
forget_deliveries(a.id)
if job then forget(a.id, job) end
return answer({outcome = 'ok', ring = 0})
