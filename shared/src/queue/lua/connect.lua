#!lua flags=allow-oom
-- Opens a connection for whom a ticket speaks. A ticket opens one.
-- Args: ticket, connection, user, caller (JSON text), token? (jti, if it can be taken back), until_ms,
-- slack_ms (known for longer than open), most (connections of one user)
-- Returns: outcome ok | used | full | revoked
local socket, own = key('socket', a.connection), key('sockets_of', a.user)
if redis.call('EXISTS', socket) == 1 then return answer({outcome = 'ok', ring = 0}) end -- sent twice
if redis.call('DEL', key('ticket', a.ticket)) == 0 then return answer({outcome = 'used', ring = 0}) end
local revoked = a.token and redis.call('SISMEMBER', key('revoked'), a.token) == 1
if revoked then return answer({outcome = 'revoked', ring = 0}) end
redis.call('ZREMRANGEBYSCORE', own, '-inf', now)
if redis.call('ZCARD', own) >= a.most then return answer({outcome = 'full', ring = 0}) end
redis.call('SET', socket, a.caller, 'PXAT', a.until_ms + a.slack_ms)
redis.call('ZADD', own, a.until_ms, a.connection)
redis.call('PEXPIREAT', own, a.until_ms, redis.call('PTTL', own) < 0 and 'NX' or 'GT')
redis.call('ZADD', key('sockets'), a.until_ms, a.connection)
return answer({outcome = 'ok', ring = 0})
