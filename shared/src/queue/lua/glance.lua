#!lua flags=no-writes
-- A job as cheaply as it can be looked at, all of one moment.
-- Args: id
-- Returns: status? (none: unknown), seq (number of the newest event), generation, level
local job = redis.call('HMGET', key('job', a.id), 'status', 'event_base', 'generation', 'level')
if not job[1] then return cjson.encode({seq = 0}) end
return cjson.encode({
  status = job[1],
  seq = (tonumber(job[2] or nil) or 0) + math.max(1, redis.call('LLEN', key('events', a.id))),
  generation = tonumber(job[3] or nil),
  level = tonumber(job[4] or nil),
})
