#!lua flags=allow-oom
-- From now on the connection is told what happens to a job, beginning with what came after `after`; or, without a job, to all jobs of its
-- user.
-- Args: connection, user, id?, after, most (jobs of one connection), for_ms (as long as a connection can live)
-- Returns: outcome ok {seq?, base?} | full | gone (not connected, or no longer)
local open_until = tonumber(redis.call('ZSCORE', key('sockets'), a.connection)) or 0
if open_until <= now then return answer({outcome = 'gone', ring = 0}) end
if not a.id then
  redis.call('ZADD', key('feed', a.user), 'NX', now, a.connection)
  redis.call('PEXPIRE', key('feed', a.user), a.for_ms)
  return answer({outcome = 'ok', ring = 0})
end
local own = key('subscriptions', a.connection)
if redis.call('SISMEMBER', own, a.id) == 0 and redis.call('SCARD', own) >= a.most then return answer({outcome = 'full', ring = 0}) end
redis.call('SADD', own, a.id)
redis.call('ZADD', key('listeners', a.id), a.after, a.connection)
for _, name in ipairs({own, key('listeners', a.id)}) do redis.call('PEXPIRE', name, a.for_ms) end
redis.call('ZADD', key('notices'), now + policy.settle_ms, a.id)
return answer({outcome = 'ok', ring = 0})
