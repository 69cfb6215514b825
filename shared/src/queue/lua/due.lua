#!lua flags=allow-oom
-- Jobs with messages that are due and that nobody has taken for a while.
-- Args: offset, grace_ms
-- Returns: jobs? (each once), more (there may be others)
local due = redis.call('ZRANGEBYSCORE', key('deliveries'), '-inf', now - a.grace_ms, 'LIMIT', a.offset, 16)
local jobs, seen = {}, {}
for _, name in ipairs(due) do
  local id = string.match(name, '^[^:]+')
  if not seen[id] then jobs[#jobs + 1] = id end
  seen[id] = true
end
return cjson.encode({jobs = #jobs > 0 and jobs or nil, more = #due == 16})
