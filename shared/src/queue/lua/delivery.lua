-- Owed messages about the end of a job: to webhooks, to the API, and cancels to the model. `delivery:<job>` has `generation`, `event`, `dues`
-- (names of the objects that note what is owed, JSON) and by target a record {url, line, state, due, until, tries, takes, told?, again?, attempts?}.
-- While its state is pending it stands in its line: `owed:<line>` has <job>:<target> → ms when it is due, or when its sender counts as lost.
local FIELDS = {generation = true, event = true, dues = true}

local function member(id, target) return id .. ':' .. target end

-- Target → record: at most 16.
local function deliveries(id)
  local flat, found = redis.call('HGETALL', key('delivery', id)), {}
  for i = 1, #flat, 2 do
    if not FIELDS[flat[i]] then found[flat[i]] = cjson.decode(flat[i + 1]) end
  end
  return found
end

local function delivery(id, target)
  local text = redis.call('HGET', key('delivery', id), target)
  return text and cjson.decode(text)
end

local function write(id, target, record)
  redis.call('HSET', key('delivery', id), target, cjson.encode(record))
end

-- `owed` has each tenant → messages that stand in its lines.
local function count_in(line, n)
  local _, tenant = sides(line)
  if n ~= 0 and tenant and redis.call('HINCRBY', key('owed'), tenant, n) <= 0 then redis.call('HDEL', key('owed'), tenant) end
end

-- A receiver that does not answer keeps a quarter of what its tenant may have in Redis; a service of the operator's keeps all of that.
local function has_room(line)
  local _, tenant = sides(line)
  if not tenant then return redis.call('ZCARD', key('owed', line)) < policy.kept end
  return redis.call('ZCARD', key('owed', line)) < math.ceil(policy.kept / 4)
    and (tonumber(redis.call('HGET', key('owed'), tenant)) or 0) < policy.kept
end

-- It stands in its line until then.
local function stand_until(id, target, record, due)
  record.due = due
  write(id, target, record)
  count_in(record.line, redis.call('ZADD', key('owed', record.line), due, member(id, target)))
end

local function leave_line(id, target, record)
  count_in(record.line, -redis.call('ZREM', key('owed', record.line), member(id, target)))
  land(record.line, member(id, target))
end

local function dues(id) return cjson.decode(redis.call('HGET', key('delivery', id), 'dues') or '[]') end

-- The object notes what is owed until nothing is.
local function note_due(id, name)
  local known = dues(id)
  for _, other in ipairs(known) do if other == name then return end end
  known[#known + 1] = name
  redis.call('HSET', key('delivery', id), 'dues', cjson.encode(known))
end

-- The log of a job that was let go stays an hour, because a settlement that is repeated must not owe anew what was delivered.
local LET_GO_MS = 3600000

-- How many are not over. With none left the log is kept as long as that of a settled job, and the second answer names the objects that
-- are not needed any more.
local function pending(id)
  local n = 0
  for _, record in pairs(deliveries(id)) do if record.state == 'pending' then n = n + 1 end end
  if n > 0 then
    redis.call('PERSIST', key('delivery', id))
    return n
  end
  local over = dues(id)
  redis.call('HDEL', key('delivery', id), 'dues')
  local gone = redis.call('EXISTS', key('job', id)) == 0
  redis.call('PEXPIRE', key('delivery', id), gone and math.min(LET_GO_MS, policy.retention_ms) or policy.retention_ms)
  return 0, #over > 0 and over or nil
end

local function forget_deliveries(id)
  for target, record in pairs(deliveries(id)) do
    leave_line(id, target, record)
    look_from(record.line, now)
  end
  redis.call('DEL', key('delivery', id))
end
