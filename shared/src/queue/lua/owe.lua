#!lua flags=allow-oom
-- Uses: lines, delivery
-- Messages that the end of a job owes. Those of an earlier end are forgotten; again changes nothing.
-- Args: id, generation, event, due (name of the object that notes them), targets [{target, url, line, until}] (at most 16)
-- Returns: outcome ok | stale (a later end is known) ; pending (messages that are not over), over? (objects that are not needed any more)
local known = tonumber(redis.call('HGET', key('delivery', a.id), 'generation') or nil)
if known and known > a.generation then return cjson.encode({outcome = 'stale'}) end
local earlier = {}
if known and known < a.generation then
  earlier = dues(a.id)
  forget_deliveries(a.id)
end
redis.call('HSET', key('delivery', a.id), 'generation', a.generation, 'event', a.event)
for i = 1, math.min(#a.targets, 16) do
  local to = a.targets[i]
  if redis.call('HEXISTS', key('delivery', a.id), to.target) == 0 then
    local record = {url = to.url, line = to.line, state = 'pending', tries = 0, takes = 0}
    record['until'] = to['until']
    stand_until(a.id, to.target, record, now)
    look_by(to.line, now)
  end
end
note_due(a.id, a.due)
local left, over = pending(a.id)
for _, name in ipairs(over or {}) do earlier[#earlier + 1] = name end
return cjson.encode({outcome = 'ok', pending = left, over = #earlier > 0 and earlier or nil})
