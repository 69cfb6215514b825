#!lua flags=no-writes
-- The queue at a glance; every read is bounded, whatever waits.
-- Args: tenants (how many of the longest lines), running (how many of the running jobs)
-- Returns: slots, paused, hold_ms?, levels [{jobs, cost}], sizes {name: n}, oldest {id, created_ms}?, tenants [...], running [...],
--   breakers {service: failures, service:at, service:until}, minutes [{ago, counts}] (of the last hour), times {stage: {bucket: n}} (this hour and the last), pace {slot_ms, per_cost}
local function pairs_of(flat)
  local found = {}
  for i = 1, #flat, 2 do found[flat[i]] = tonumber(flat[i + 1]) end
  return found
end
-- An empty list is left out: JSON of an empty table would be an object.
local out = {slots = slots(), paused = paused(), levels = {}, sizes = {}, times = {}, breakers = troubled()}
local tenants, running, minutes = {}, {}, {}
local hold_ms = redis.call('PTTL', key('hold'))
if hold_ms ~= -2 then out.hold_ms = math.max(0, hold_ms) end
for level = 0, 2 do
  local load = redis.call('HMGET', key('load'), 'n' .. level, 'c' .. level)
  out.levels[level + 1] = {jobs = tonumber(load[1]) or 0, cost = tonumber(load[2]) or 0}
end
for _, name in ipairs({'lease', 'finish', 'delayed', 'ready', 'backlog', 'outbox', 'dead', 'waiters'}) do out.sizes[name] = redis.call('ZCARD', key(name)) end
local oldest = redis.call('ZRANGE', key('by_user', '*', 'queued'), 0, 0, 'WITHSCORES')
if oldest[1] then out.oldest = {id = oldest[1], created_ms = tonumber(oldest[2])} end

local lines = redis.call('ZREVRANGE', key('backlog'), 0, a.tenants - 1, 'WITHSCORES')
for i = 1, #lines, 2 do
  local own = redis.call('HMGET', key('tenant', lines[i]), 'weight', 'cap', 'paused')
  tenants[#tenants + 1] = {
    tenant = lines[i], queued = tonumber(lines[i + 1]), running = redis.call('ZCARD', key('run', lines[i])),
    weight = tonumber(own[1]) or 1, cap = tonumber(own[2]) or policy.cap, paused = own[3] == '1',
  }
end
local held = redis.call('ZRANGE', key('lease'), 0, a.running - 1, 'WITHSCORES')
for i = 1, #held, 2 do
  local job = redis.call('HMGET', key('job', held[i]), 'tenant', 'stage', 'attempt', 'parked')
  local since = job[1] and redis.call('ZSCORE', key('run', job[1]), held[i])
  running[#running + 1] = {
    id = held[i], lease_ms = tonumber(held[i + 1]), since_ms = tonumber(since or nil), tenant = job[1] or nil,
    stage = job[2] or nil, attempt = tonumber(job[3] or nil), holder = job[4] and 'model' or 'worker',
  }
end
for ago = 0, 59 do
  local counts = redis.call('HGETALL', key('minute', math.floor(now / 60000) - ago))
  if #counts > 0 then table.insert(minutes, {ago = ago, counts = pairs_of(counts)}) end
end
for ago = 0, 1 do
  for name, n in pairs(pairs_of(redis.call('HGETALL', key('times', math.floor(now / 3600000) - ago)))) do out.times[name] = (out.times[name] or 0) + n end
end
out.pace = pairs_of({'slot_ms', redis.call('HGET', key('eta'), 'slot_ms'), 'per_cost', redis.call('HGET', key('eta'), 'per_cost')})
for name, list in pairs({tenants = tenants, running = running, minutes = minutes}) do out[name] = #list > 0 and list or nil end
return cjson.encode(out)
