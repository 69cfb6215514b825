#!lua flags=no-writes
-- What shows that functions live which nobody calls: each time in ms that has passed, as far as it is known and something is owed.
-- Args: none
-- Returns: round_ms? (since the sweep ended a round), owed_ms? (something could run, and no worker came since), unheard_ms? (somebody is
--   to be told of news, and `notify` came to nobody since), undelivered_ms? (a message is due)
local known = redis.call('HMGET', key('clock'), 'swept_ms', 'owed_ms', 'unheard_ms')
local function since(ms) return tonumber(ms or nil) and math.max(0, now - tonumber(ms)) end
local due = redis.call('ZRANGEBYSCORE', key('owing'), '-inf', now, 'WITHSCORES', 'LIMIT', 0, 1)
return cjson.encode({
  round_ms = since(known[1]),
  owed_ms = eligible(1) > 0 and since(known[2]) or nil,
  unheard_ms = redis.call('ZCARD', key('notices')) > 0 and since(known[3]) or nil,
  undelivered_ms = since(due[2]),
  at = now,
})
