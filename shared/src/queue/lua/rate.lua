-- Behind the prelude where a script says `Uses: rate`: limits by the generic cell rate algorithm, one string a tenant.

-- Milliseconds until the next call is within the limit, or nil and the call is counted; then what is left: {remaining, reset_ms until
-- all of it is there again}, nil without a limit. A minute's worth may come at once.
local function limited(kind, tenant, per_minute)
  if not per_minute or per_minute <= 0 then return nil end
  local name, step = key('rate', kind, tenant), 60000 / per_minute
  local due = math.max(now, tonumber(redis.call('GET', name)) or 0)
  local over = due + step - now - 60000
  if over <= 0 then
    due = due + step
    redis.call('SET', name, string.format('%.3f', due), 'PX', 60000)
  end
  local quota = {remaining = math.max(0, math.floor((now + 60000 - due) / step + 0.001)), reset_ms = math.ceil(due - now)}
  return over > 0 and math.ceil(over) or nil, quota
end
