#!lua flags=allow-oom
-- Uses: delivery
-- Messages that the end of a job owes. Those of an earlier end are forgotten; again changes nothing.
-- Args: id, generation, event, targets [{target, url}] (at most 16)
-- Returns: outcome ok | stale (a later end is known) ; pending (messages that are not over)
local known = tonumber(redis.call('HGET', key('delivery', a.id), 'generation') or nil)
if known and known > a.generation then return cjson.encode({outcome = 'stale'}) end
if known and known < a.generation then forget_deliveries(a.id) end
redis.call('HSET', key('delivery', a.id), 'generation', a.generation, 'event', a.event)
for i = 1, math.min(#a.targets, 16) do
  local to = a.targets[i]
  if redis.call('HEXISTS', key('delivery', a.id), to.target) == 0 then
    write(a.id, to.target, {url = to.url, state = 'pending', tries = 0})
    redis.call('ZADD', key('deliveries'), now, member(a.id, to.target))
  end
end
return cjson.encode({outcome = 'ok', pending = pending(a.id)})
