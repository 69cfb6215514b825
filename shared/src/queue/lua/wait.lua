#!lua
-- Counts the callers who wait for a job to move; one over the limit is not let in.
-- Args: waiter, for_ms (0: leaves), most
-- Returns: outcome ok | full
redis.call('ZREMRANGEBYSCORE', key('waiters'), '-inf', now)
if a.for_ms == 0 then
  redis.call('ZREM', key('waiters'), a.waiter)
elseif not redis.call('ZSCORE', key('waiters'), a.waiter) and redis.call('ZCARD', key('waiters')) >= a.most then
  return answer({outcome = 'full', ring = 0})
else
  redis.call('ZADD', key('waiters'), now + a.for_ms, a.waiter)
end
return answer({outcome = 'ok', ring = 0})
