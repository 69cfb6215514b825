#!lua flags=allow-oom
-- What operators set: of the queue, and of at most 16 tenants. An older revision than the one in force changes nothing.
-- Args: queue? {revision, slots?, paused}, tenants [{tenant, revision, weight?, cap?, paused}], loaded (true: this was all there is)
-- Returns: applied (how many were new)
local applied = 0
local function put(name, from, fields)
  if from.revision <= tonumber(redis.call('HGET', name, 'revision') or -1) then return false end
  for _, field in ipairs(fields) do
    if from[field] then redis.call('HSET', name, field, from[field]) else redis.call('HDEL', name, field) end
  end
  redis.call('HSET', name, 'revision', from.revision, 'paused', from.paused and 1 or 0)
  applied = applied + 1
  return true
end

if a.queue then put(key('control'), a.queue, {'slots'}) end
for _, tenant in ipairs(a.tenants) do
  if put(key('tenant', tenant.tenant), tenant, {'weight', 'cap'}) then
    redis.call('PERSIST', key('tenant', tenant.tenant))
    refresh(tenant.tenant)
  end
end
if a.loaded then redis.call('HSET', key('control'), 'loaded', 1) end
return answer({applied = applied, ring = owed(eligible(10))})
