-- Lines of owed messages. A line is <host>/<tenant>; what goes to a service of the operator's has no tenant. `owing` has each line → ms when it
-- is looked at next. `flying:<host>` and `flying:/<tenant>` have what is on its way → ms when its sender counts as lost, `full:…` the lines that
-- wait for room there. `fault:<line>` has n (failures in a row) and until (it rests).
local function sides(line)
  local host, tenant = string.match(line, '^([^/]*)/(.*)$')
  return host, tenant ~= '' and '/' .. tenant or nil
end

-- The line is looked at no later than that.
local function look_by(line, ms) redis.call('ZADD', key('owing'), 'LT', ms, line) end

-- The line is looked at when its first message is due, and not before `from`.
local function look_from(line, from)
  local head = redis.call('ZRANGE', key('owed', line), 0, 0, 'WITHSCORES')
  if not head[1] then return redis.call('ZREM', key('owing'), line) end
  redis.call('ZADD', key('owing'), math.max(tonumber(head[2]), from), line)
end

-- It is not on its way any more; lines that waited for its room are looked at again.
local function land(line, name)
  for _, side in ipairs({sides(line)}) do
    if redis.call('ZREM', key('flying', side), name) == 1 then
      for _, other in ipairs(redis.call('SPOP', key('full', side), 4)) do
        if redis.call('EXISTS', key('owed', other)) == 1 then look_by(other, now) end
      end
    end
  end
end

-- The side of the line that has no room, if one has none: the line is looked at when it has.
local function full_side(line)
  local host, tenant = sides(line)
  for side, most in pairs({[host] = a.host_most, [tenant or ''] = tenant and a.tenant_most}) do
    redis.call('ZREMRANGEBYSCORE', key('flying', side), '-inf', now)
    if redis.call('ZCARD', key('flying', side)) >= most then
      redis.call('SADD', key('full', side), line)
      redis.call('PEXPIRE', key('full', side), a.lease_ms * 2)
      return side
    end
  end
end

local function take_off(line, name)
  for _, side in ipairs({sides(line)}) do
    redis.call('ZADD', key('flying', side), now + a.lease_ms, name)
    redis.call('PEXPIRE', key('flying', side), a.lease_ms * 2)
  end
end

-- Until when a line that failed rests. Where that is over, one message is let through, and the others wait for what it shows.
local function rests_until(line)
  local fault = redis.call('HMGET', key('fault', line), 'n', 'until')
  if (tonumber(fault[1]) or 0) < a.faults_most then return nil end
  local rest = tonumber(fault[2]) or 0
  if rest > now then return rest end
  redis.call('HSET', key('fault', line), 'until', now + a.lease_ms)
end

-- What a call showed of the line, if anything; how long it rests now.
local function show(line, host)
  local fault = key('fault', line)
  if host == 'answered' then
    redis.call('DEL', fault)
  elseif host == 'failed' then
    local over = redis.call('HINCRBY', fault, 'n', 1) - a.faults_most
    redis.call('PEXPIRE', fault, 3600000)
    if over < 0 then return nil end
    local rest_ms = math.min(math.floor(a.rest_ms * 2 ^ math.min(over, 16)), a.rest_most_ms)
    redis.call('HSET', fault, 'until', now + rest_ms)
    return rest_ms
  elseif redis.call('HEXISTS', fault, 'until') == 1 then
    redis.call('HSET', fault, 'until', now) -- another one is let through
  end
end
