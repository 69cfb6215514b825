#!lua flags=allow-oom
-- Uses: delivery
-- Takes messages of a job that are due. They are the caller's for `lease_ms`; then somebody else may take them.
-- Args: id, most, lease_ms
-- Returns: generation?, event?, taken? [{target, tries (this one included)}]
local taken = {}
for target, record in pairs(deliveries(a.id)) do
  local due = tonumber(redis.call('ZSCORE', key('deliveries'), member(a.id, target)) or nil)
  if #taken < a.most and record.state == 'pending' and due and due <= now then
    record.tries = record.tries + 1
    write(a.id, target, record)
    redis.call('ZADD', key('deliveries'), now + a.lease_ms, member(a.id, target))
    taken[#taken + 1] = {target = target, tries = record.tries}
  end
end
if #taken == 0 then return cjson.encode({more = false}) end
local own = redis.call('HMGET', key('delivery', a.id), 'generation', 'event')
return cjson.encode({generation = tonumber(own[1]), event = own[2], taken = taken})
