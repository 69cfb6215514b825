#!lua flags=allow-oom
-- Uses: lines, delivery
-- Messages that the end of a job owes. Those of an earlier end are forgotten; again changes nothing.
-- Args: id, generation, event, due (name of the object that notes them), targets [{target, url, line, until}] (at most 16), whole (all or none)
-- Returns: outcome ok | stale (a later end is known) ; pending (messages that are not over), over? (objects that are not needed any more),
--   left? (targets whose lines have no room: they must be noted elsewhere)
local known = tonumber(redis.call('HGET', key('delivery', a.id), 'generation') or nil)
if known and known > a.generation then return cjson.encode({outcome = 'stale'}) end
local earlier = {}
if known and known < a.generation then
  earlier = dues(a.id)
  forget_deliveries(a.id)
end
local new, left = {}, {}
for i = 1, math.min(#a.targets, 16) do
  local to = a.targets[i]
  if redis.call('HEXISTS', key('delivery', a.id), to.target) == 0 then
    local into = has_room(to.line) and new or left
    into[#into + 1] = to
  end
end
if a.whole and #left > 0 then new, left = {}, a.targets end
for _, to in ipairs(new) do
  local record = {url = to.url, line = to.line, state = 'pending', tries = 0, takes = 0}
  record['until'] = to['until']
  stand_until(a.id, to.target, record, now)
  look_by(to.line, now)
end
local function names(targets)
  local found = {}
  for i, to in ipairs(targets) do found[i] = to.target end
  return #found > 0 and found or nil
end
local pending_here, over = 0, nil
if redis.call('EXISTS', key('delivery', a.id)) == 1 then
  redis.call('HSET', key('delivery', a.id), 'generation', a.generation, 'event', a.event)
  if not a.whole or #left == 0 then note_due(a.id, a.due) end
  pending_here, over = pending(a.id)
elseif not a.whole then
  over = {a.due}
end
for _, name in ipairs(over or {}) do earlier[#earlier + 1] = name end
return cjson.encode({outcome = 'ok', pending = pending_here, over = #earlier > 0 and earlier or nil, left = names(left)})
