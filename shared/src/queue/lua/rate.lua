-- Behind the prelude where a script says `Uses: rate`: limits by the generic cell rate algorithm, one string for each of whose calls are
-- counted. A minute's worth may come at once.

-- What one more call does to a limit: name, due (ms when all of it is there again after the call), over (ms to wait before it, if > 0).
local function weigh(kind, who, per_minute)
  local name = key('rate', kind, who)
  local due = math.max(now, tonumber(redis.call('GET', name)) or 0) + 60000 / per_minute
  return {name = name, due = due, over = math.ceil(due - now - 60000)}
end

local function spend(call)
  redis.call('SET', call.name, string.format('%.3f', call.due), 'PX', math.max(60000, math.ceil(call.due - now)))
end

-- Calls that may come at once before all of the limit is there again, which is at `due`.
local function remaining(due, per_minute)
  return math.max(0, math.floor((now + 60000 - due) * per_minute / 60000 + 0.001))
end

-- Milliseconds until the next call is within the limit, or nil and the call is counted; then what is left: {remaining, reset_ms until
-- all of it is there again}, nil without a limit.
local function limited(kind, tenant, per_minute)
  if not per_minute or per_minute <= 0 then return nil end
  local call = weigh(kind, tenant, per_minute)
  local due = call.due
  if call.over > 0 then due = due - 60000 / per_minute else spend(call) end
  local quota = {remaining = remaining(due, per_minute), reset_ms = math.ceil(due - now)}
  return call.over > 0 and call.over or nil, quota
end

-- Why a tenant's new work is refused: {outcome = 'limited' or 'full', retry_ms?, quota?}; nil and it is counted. Then its quota.
-- What the result cache answers waits in no line.
local function refused(tenant, cached)
  local retry_ms, quota = limited('submit', tenant, policy.submit_per_minute)
  if retry_ms then return {outcome = 'limited', retry_ms = retry_ms, quota = quota}, quota end
  if not cached and redis.call('ZCARD', key('q', tenant)) >= policy.max_queued then return {outcome = 'full', quota = quota}, quota end
  return nil, quota
end

-- One call has cost as much as so many more: counted though nothing refuses them now, at most a minute's worth.
local function spend_more(kind, who, per_minute, more)
  local call = weigh(kind, who, per_minute)
  call.due = call.due + (math.min(more, per_minute) - 1) * 60000 / per_minute
  spend(call)
  return {remaining = remaining(call.due, per_minute), reset_ms = math.ceil(call.due - now)}
end
