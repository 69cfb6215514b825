#!lua flags=no-writes,allow-oom
-- Uses: rate
-- Whether a tenant's new work would be taken now. Nothing is counted: it is asked before anything is stored.
-- Args: tenant
-- Returns: outcome open | full | limited {retry_ms}; quota? (where it is limited)
local per_minute = policy.submit_per_minute
if per_minute > 0 then
  local call = weigh('submit', a.tenant, per_minute)
  if call.over > 0 then
    local quota = {remaining = 0, reset_ms = math.ceil(call.due - 60000 / per_minute - now)}
    return cjson.encode({outcome = 'limited', retry_ms = call.over, quota = quota})
  end
end
local full = redis.call('ZCARD', key('q', a.tenant)) >= policy.max_queued
return cjson.encode({outcome = full and 'full' or 'open'})
