#!lua flags=allow-oom
-- Adds tokens to those that every door looks up. With `loaded_ms` these were all that the store knows of, which holds for so long:
-- a Redis that lost its last writes hears of them again then.
-- Args: ids [text], at most 500; loaded_ms?
-- Returns: added (how many were new)
local added = 0
if #a.ids > 0 then added = redis.call('SADD', key('revoked'), unpack(a.ids, 1, math.min(#a.ids, 500))) end
if a.loaded_ms then
  redis.call('SADD', key('revoked'), '*')
  redis.call('PEXPIRE', key('revoked'), a.loaded_ms)
end
return answer({added = added, ring = 0})
