#!lua flags=allow-oom
-- Uses: lines, delivery
-- Forgets an ended job and lets nobody bring it back; a retry at the same time comes before or after, not in between.
-- Its tombstone and its files follow: a delete that breaks off here has not happened, and may be repeated.
-- Args: id, user, tags
-- Returns: outcome ok | live
local job = load(a.id)
if job and not TERMINAL[job.status] then return answer({outcome = 'live', ring = 0}) end
bury(a.id, policy.deleted_ms)
for _, name in ipairs({'job', 'outcome', 'events', 'listeners'}) do redis.call('DEL', key(name, a.id)) end
forget_deliveries(a.id)
for _, name in ipairs({'outbox', 'dead', 'notices'}) do redis.call('ZREM', key(name), a.id) end
for _, owner in ipairs({a.user, '*'}) do
  for status in pairs(TERMINAL) do redis.call('ZREM', key('by_user', owner, status), a.id) end
  for _, tag in ipairs(a.tags or {}) do redis.call('ZREM', key('by_user', owner, '#' .. tag), a.id) end
end
return answer({outcome = 'ok', ring = 0})
