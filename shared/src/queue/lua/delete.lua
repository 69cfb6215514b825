#!lua flags=allow-oom
-- Uses: lines, delivery
-- Forgets an ended job. Its files go first: what is left of a broken-off delete is an entry without a job.
-- Args: id, user, tags
-- Returns: outcome ok | live
local job = load(a.id)
if job and not TERMINAL[job.status] then return answer({outcome = 'live', ring = 0}) end
for _, name in ipairs({'job', 'outcome', 'events', 'listeners'}) do redis.call('DEL', key(name, a.id)) end
forget_deliveries(a.id)
for _, name in ipairs({'outbox', 'dead', 'notices'}) do redis.call('ZREM', key(name), a.id) end
for _, owner in ipairs({a.user, '*'}) do
  for status in pairs(TERMINAL) do redis.call('ZREM', key('by_user', owner, status), a.id) end
  for _, tag in ipairs(a.tags or {}) do redis.call('ZREM', key('by_user', owner, '#' .. tag), a.id) end
end
return answer({outcome = 'ok', ring = 0})
