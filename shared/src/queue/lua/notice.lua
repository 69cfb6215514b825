#!lua flags=allow-oom
-- One at a time tells a job's listeners: who has the turn goes on until nothing is left, whoever else comes leaves it to him.
-- Args: id, turn, handled? (number of the event up to which all were told), for_ms (the turn), again_ms? (some could not be told)
-- Returns: outcome more {seq, user, unrecorded} | done | busy
redis.call('HDEL', key('clock'), 'unheard_ms') -- somebody tells
local turn = key('notifying', a.id)
local holder = redis.call('GET', turn)
if holder and holder ~= a.turn then return answer({outcome = 'busy', ring = 0}) end
local job = load(a.id)
local seq = job and (tonumber(job.event_base) or 0) + math.max(1, redis.call('LLEN', key('events', a.id)))
if a.again_ms or not job or a.handled and a.handled >= seq then
  redis.call('DEL', turn)
  if a.again_ms then redis.call('ZADD', key('notices'), now + a.again_ms, a.id) else redis.call('ZREM', key('notices'), a.id) end
  return answer({outcome = 'done', ring = 0})
end
redis.call('SET', turn, a.turn, 'PX', a.for_ms)
redis.call('ZADD', key('notices'), now + a.for_ms, a.id)
local unrecorded = TERMINAL[job.status] and redis.call('ZSCORE', key('outbox'), a.id) and true or false
return answer({outcome = 'more', seq = seq, user = job.user, unrecorded = unrecorded, ring = 0})
