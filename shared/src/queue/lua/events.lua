#!lua flags=no-writes
-- The log of a job, as far as it is kept, all of one moment.
-- Args: id
-- Returns: known, base (events that the log has lost), queued_ms, log? [JSON text] (none: nothing has happened since it was enqueued)
local job = redis.call('HMGET', key('job', a.id), 'status', 'event_base', 'queued_ms')
local log = redis.call('LRANGE', key('events', a.id), 0, -1)
return cjson.encode({
  known = job[1] and true or false,
  base = tonumber(job[2] or nil) or 0,
  queued_ms = tonumber(job[3] or nil) or 0,
  log = #log > 0 and log or nil,
})
