#!lua flags=allow-oom
-- Uses: delivery
-- Makes messages of a job due at once, with all their tries before them, whatever became of them.
-- Args: id, targets (at most 16)
-- Returns: again (how many)
local again = 0
for i = 1, math.min(#a.targets, 16) do
  local text = redis.call('HGET', key('delivery', a.id), a.targets[i])
  if text then
    local record = cjson.decode(text)
    record.state, record.tries, record.told = 'pending', 0, nil
    write(a.id, a.targets[i], record)
    redis.call('ZADD', key('deliveries'), now, member(a.id, a.targets[i]))
    again = again + 1
  end
end
if again > 0 then pending(a.id) end
return cjson.encode({again = again})
