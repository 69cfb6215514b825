#!lua flags=allow-oom
-- Counts the callers who wait for a job to move; one over the limit is not let in. No tenant may have more places than are left free:
-- alone it has half of all, and there is always one for the next.
-- Args: waiter, tenant, for_ms (0: leaves), most
-- Returns: outcome ok | full
local all, own = key('waiters'), key('waiters', a.tenant)
for _, name in ipairs({all, own}) do redis.call('ZREMRANGEBYSCORE', name, '-inf', now) end
if a.for_ms == 0 then
  for _, name in ipairs({all, own}) do redis.call('ZREM', name, a.waiter) end
elseif not redis.call('ZSCORE', all, a.waiter) and redis.call('ZCARD', own) >= a.most - redis.call('ZCARD', all) then
  return answer({outcome = 'full', ring = 0})
else
  for _, name in ipairs({all, own}) do
    redis.call('ZADD', name, now + a.for_ms, a.waiter)
    redis.call('PEXPIRE', name, 60000)
  end
end
return answer({outcome = 'ok', ring = 0})
