#!lua flags=allow-oom
-- Uses: rate, lines, delivery
-- Makes messages of a job due at once, whatever became of them. Each gets one more call; their tries stay. A message is sent again once in
-- `gap_ms`, and those of a tenant and to a host so often in a minute.
-- Args: id, generation, targets (at most 16), due (name of the object that notes them), until, gap_ms, per_minute, dues_most
-- Returns: outcome ok | limited {retry_ms} | unknown (none of them is known)
local own = tonumber(redis.call('HGET', key('delivery', a.id), 'generation') or nil)
if own ~= a.generation then return cjson.encode({outcome = 'unknown'}) end
local again, retry_ms = 0, nil
local function later(ms) retry_ms = math.min(retry_ms or ms, ms) end

for i = 1, math.min(#a.targets, 16) do
  local target = a.targets[i]
  local record = delivery(a.id, target)
  if record then
    local host, tenant = sides(record.line)
    local calls = {weigh('redeliver', host, a.per_minute), weigh('redeliver', tenant or '/', a.per_minute)}
    local wait = math.max(calls[1].over, calls[2].over, (record.again or 0) + a.gap_ms - now)
    if #dues(a.id) >= a.dues_most then wait = math.max(wait, a.gap_ms) end
    if wait > 0 then
      later(wait)
    else
      for _, call in ipairs(calls) do spend(call) end
      record.again, record['until'] = now, a['until']
      -- One that is on its way comes to its end first.
      local on_its_way = record.state == 'pending' and redis.call('ZSCORE', key('flying', host), member(a.id, target))
      record.state = 'pending'
      stand_until(a.id, target, record, on_its_way and record.due or now)
      look_by(record.line, record.due)
      again = again + 1
    end
  end
end
if again == 0 then return cjson.encode({outcome = retry_ms and 'limited' or 'unknown', retry_ms = retry_ms}) end
note_due(a.id, a.due)
pending(a.id)
return cjson.encode({outcome = 'ok'})
