-- Behind the prelude where a script says `Uses: rate`: limits by the generic cell rate algorithm, one string a tenant.

-- Milliseconds until the next call is within the limit, or nil and the call is counted. A minute's worth may come at once.
local function limited(kind, tenant, per_minute)
  if not per_minute or per_minute <= 0 then return nil end
  local name, step = key('rate', kind, tenant), 60000 / per_minute
  local due = math.max(now, tonumber(redis.call('GET', name)) or 0) + step
  if due - now > 60000 then return math.ceil(due - now - 60000) end
  redis.call('SET', name, string.format('%.3f', due), 'PX', 60000)
end
