#!lua flags=no-writes
-- Jobs as cheaply as they can be looked at, all of one moment.
-- Args: ids
-- Returns: for each, in order: status? (none: unknown), seq (number of the newest event), generation, level
local seen = {}
for n, id in ipairs(a.ids) do
  local job = redis.call('HMGET', key('job', id), 'status', 'event_base', 'generation', 'level')
  seen[n] = {seq = 0}
  if job[1] then
    seen[n] = {
      status = job[1],
      seq = (tonumber(job[2] or nil) or 0) + math.max(1, redis.call('LLEN', key('events', id))),
      generation = tonumber(job[3] or nil),
      level = tonumber(job[4] or nil),
    }
  end
end
return cjson.encode(seen)
