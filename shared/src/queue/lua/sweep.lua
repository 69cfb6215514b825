#!lua flags=allow-oom
-- One bounded step of the caretaker: rescue, promote, look after some tenants, say whose listeners lack something.
-- Args: after (tenant name the last step ended at, '' to begin)
-- Returns: busy (more of the same is due), after ('' when round), unheard [id] (listeners lack something), bells (jobs that could be given out now), epoch (false: Redis was emptied, began anew or evicted keys)
local busy = reap(4) == 4
busy = promote(4) == 4 or busy
local from = a.after == '' and '-' or '(' .. a.after
local tenants = redis.call('ZRANGEBYLEX', key('tenants'), from, '+', 'LIMIT', 0, 8)
for _, tenant in ipairs(tenants) do
  refresh(tenant)
  local idle = redis.call('EXISTS', key('q', tenant), key('run', tenant)) == 0
  if idle then
    redis.call('ZREM', key('tenants'), tenant)
    if redis.call('HEXISTS', key('tenant', tenant), 'revision') == 0 then redis.call('PEXPIRE', key('tenant', tenant), policy.retention_ms) end
  end
end
local due = redis.call('ZRANGEBYSCORE', key('kept'), '-inf', now, 'LIMIT', 0, 4)
for _, tenant in ipairs(due) do let_go(tenant) end
busy = #due == 4 or busy
-- A server that began anew, or another one after a failover, may have lost its last writes; one that evicts has lost keys.
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or '?'
server = server .. ' ' .. (string.match(redis.call('INFO', 'stats'), 'evicted_keys:(%d+)') or '?')
if redis.call('HGET', key('clock'), 'server') ~= server then
  redis.call('HDEL', key('clock'), 'epoch', 'reconcile', 'emptied_ms')
  redis.call('DEL', key('chunks'))
  redis.call('HSET', key('clock'), 'server', server)
end
local policy_of = string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:(%S+)') or 'noeviction'
redis.call('HSET', key('clock'), 'evicts', policy_of == 'noeviction' and 0 or 1)
local unheard = redis.call('ZRANGEBYSCORE', key('notices'), '-inf', now, 'LIMIT', 0, 16)
for _, id in ipairs(unheard) do redis.call('ZADD', key('notices'), now + policy.settle_ms, id) end
return answer({
  busy = busy,
  after = #tenants == 8 and tenants[8] or '',
  unheard = #unheard > 0 and unheard or nil,
  bells = owed(eligible(slots() + 16)),
  epoch = redis.call('HEXISTS', key('clock'), 'epoch') == 1,
  ring = 0,
})
