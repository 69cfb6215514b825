#!lua flags=allow-oom
-- Ends connections of a user, or those of one token: nothing is pushed to them any more, and they are due to be closed.
-- Args: user, token? (jti), from (how many of the user's connections were looked at), most (to look at)
-- Returns: ended; next? (`from` of the next call)
local own = redis.call('ZRANGE', key('sockets_of', a.user), a.from, a.from + a.most - 1)
local ended = 0
for _, connection in ipairs(own) do
  local caller = a.token and redis.call('GET', key('socket', connection))
  if not a.token or caller and cjson.decode(caller).jti == a.token then
    if redis.call('ZSCORE', key('sockets'), connection) then
      redis.call('ZADD', key('sockets'), 'XX', 0, connection)
      ended = ended + 1
    end
  end
end
return answer({ended = ended, next = #own == a.most and a.from + a.most or nil, ring = 0})
