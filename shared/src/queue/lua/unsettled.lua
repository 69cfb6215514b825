#!lua flags=allow-oom
-- Takes ended jobs that are due to be settled. Each is put off before it is handed out, for longer each time (5 s at first, 43 min at
-- most): those that cannot be settled do not stand before the others for ever.
-- Args: most
-- Returns: jobs? [id]
local jobs = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('outbox'), '-inf', now, 'LIMIT', 0, a.most)) do
  if redis.call('EXISTS', key('job', id)) == 0 then
    redis.call('ZREM', key('outbox'), id)
  else
    local takes = redis.call('HINCRBY', key('job', id), 'settle_takes', 1)
    redis.call('ZADD', key('outbox'), now + policy.settle_ms * 2 ^ math.min(takes - 1, 9), id)
    jobs[#jobs + 1] = id
  end
end
if #jobs == 0 then return "{}" end
return cjson.encode({jobs = jobs})
