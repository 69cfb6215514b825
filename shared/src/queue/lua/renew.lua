#!lua flags=allow-oom
-- Keeps a holder's right for another span.
-- Args: id, fence, lease_ms
-- Returns: outcome ok | stale
local job = held(a.id, a.fence)
if not job or job.parked then return answer({outcome = 'stale', ring = 0}) end
redis.call('ZADD', key(job.stage == 'finish' and 'finish' or 'lease'), now + a.lease_ms, a.id)
return answer({outcome = 'ok', ring = 0})
