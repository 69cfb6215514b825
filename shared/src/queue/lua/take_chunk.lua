#!lua flags=allow-oom
-- Takes a chunk of the comparison with the store, unless enough are taken. One that is not done in time can be taken again.
-- Args: most (taken at a time), lease_ms
-- Returns: chunk? (as it was handed out)
local chunks = key('chunks')
if redis.call('ZCOUNT', chunks, '(' .. now, '+inf') >= a.most then return "{}" end
local chunk = redis.call('ZRANGEBYSCORE', chunks, '-inf', now, 'LIMIT', 0, 1)[1]
if not chunk then return "{}" end
redis.call('ZADD', chunks, now + a.lease_ms, chunk)
return cjson.encode({chunk = chunk})
