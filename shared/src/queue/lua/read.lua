#!lua flags=no-writes
-- All that Redis knows of one job.
-- Args: id
-- Returns: found; fields, request, outcome, logged (events kept), position (0 = next in its own line)
local job = load(a.id)
if not job then return cjson.encode({found = false}) end
return cjson.encode({
  found = true,
  fields = job,
  request = redis.call('GET', key('request', a.id)) or nil,
  outcome = redis.call('GET', key('outcome', a.id)) or nil,
  logged = redis.call('LLEN', key('events', a.id)),
  position = redis.call('ZRANK', key('q', job.tenant), a.id) or nil,
})
