#!lua flags=allow-oom
-- Uses: lines, delivery
-- Takes messages that are due, line by line in turns: a line that was served goes behind those that wait. They are the caller's for `lease_ms`;
-- then somebody else may take them. A line without room, and one that rests after failures, is passed over; a message whose time is over is
-- given up.
-- Args: most, lease_ms, host_most, tenant_most (on their way at the same time), faults_most (failures in a row before a line rests)
-- Returns: messages? [{id, generation, event, target, take, tries}], late? [{id, target}] (given up), over? [{id, names}] (objects that are
--   not needed any more)
local messages, late, over = {}, {}, {}

local function give_up(id, target, record)
  leave_line(id, target, record)
  record.state = 'given_up'
  write(id, target, record)
  late[#late + 1] = {id = id, target = target}
  local _, names = pending(id)
  if names then over[#over + 1] = {id = id, names = names} end
end

local function hand_out(id, target, record)
  record.takes = record.takes + 1
  stand_until(id, target, record, now + a.lease_ms)
  take_off(record.line, member(id, target))
  local message = {id = id, target = target, take = record.takes, tries = record.tries}
  message.generation = tonumber(redis.call('HGET', key('delivery', id), 'generation'))
  message.event = redis.call('HGET', key('delivery', id), 'event')
  messages[#messages + 1] = message
end

-- Takes one message of the line, or answers from when on the line may have one.
local function take(line)
  for _ = 1, 16 do
    local name = redis.call('ZRANGEBYSCORE', key('owed', line), '-inf', now, 'LIMIT', 0, 1)[1]
    if not name then return now end
    local id, target = string.match(name, '^([^:]+):(.+)$')
    local record = delivery(id, target)
    if not record or record.state ~= 'pending' or record.line ~= line then
      count_in(line, -redis.call('ZREM', key('owed', line), name))
    elseif record['until'] <= now then
      give_up(id, target, record)
    else
      return full_side(line) and now + a.lease_ms or rests_until(line) or hand_out(id, target, record)
    end
  end
  return now
end

local lines = redis.call('ZRANGEBYSCORE', key('owing'), '-inf', now, 'LIMIT', 0, 16)
while #lines > 0 do
  local others = {}
  for _, line in ipairs(lines) do
    local from = #messages >= a.most and now or take(line)
    if from then look_from(line, from) else others[#others + 1] = line end
  end
  lines = others
end
local function some(list) return #list > 0 and list or nil end
return cjson.encode({messages = some(messages), late = some(late), over = some(over)})
