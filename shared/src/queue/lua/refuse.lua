#!lua flags=allow-oom
-- A submission is given up, because Redis certainly did not take it: the id is dead, unless another request has entered it meanwhile.
-- Args: id
-- Returns: outcome refused | live
if redis.call('EXISTS', key('job', a.id)) == 1 then return answer({outcome = 'live', ring = 0}) end
bury(a.id, policy.refused_ms)
return answer({outcome = 'refused', ring = 0})
