-- Messages to webhooks. `delivery:<job>` has `generation`, `event` and by target a record {url, state, tries, told?, attempts?}; while its
-- state is pending, `deliveries` has <job>:<target>.
local function member(id, target) return id .. ':' .. target end

-- Target → record: at most 16.
local function deliveries(id)
  local flat, found = redis.call('HGETALL', key('delivery', id)), {}
  for i = 1, #flat, 2 do
    if flat[i] ~= 'generation' and flat[i] ~= 'event' then found[flat[i]] = cjson.decode(flat[i + 1]) end
  end
  return found
end

local function write(id, target, record)
  redis.call('HSET', key('delivery', id), target, cjson.encode(record))
end

-- How many are not over. With none left the log is kept as long as that of a settled job.
local function pending(id)
  local n = 0
  for _, record in pairs(deliveries(id)) do if record.state == 'pending' then n = n + 1 end end
  if n > 0 then redis.call('PERSIST', key('delivery', id)) else redis.call('PEXPIRE', key('delivery', id), policy.retention_ms) end
  return n
end

local function forget_deliveries(id)
  for target in pairs(deliveries(id)) do redis.call('ZREM', key('deliveries'), member(id, target)) end
  redis.call('DEL', key('delivery', id))
end
