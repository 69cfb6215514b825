#!lua flags=allow-oom
-- Uses: estimate
-- Gives a worker the best job that may run: one to finish first, else the first of the first tenant in `ready`.
-- Args: call (id of this call: a repeat gets the same answer for 60 s), nonce, lease_ms, finish_ms, finish_takes
-- Returns: outcome job | empty | saturated | held | paused | unconfigured (Redis was emptied: what operators set must be loaded
--   first); with a job: id, fence, fields, logged (events kept), breaker? {service: failures, …}
local kept = redis.call('GET', key('call', a.call))
if kept then return kept end
redis.call('HDEL', key('clock'), 'owed_ms') -- here a worker is
reap(4); promote(4)
local function give(id, job)
  set_status(id, job, 'processing')
  log(id, job, 'job:status', {reason = 'acquired'})
  job.fence = redis.call('HINCRBY', key('clock'), 'fence', 1) .. '-' .. a.nonce
  redis.call('HSET', key('job', id), 'fence', job.fence)
  local text = answer({outcome = 'job', id = id, fence = job.fence, fields = load(id), logged = redis.call('LLEN', key('events', id)), breaker = troubled()})
  redis.call('SET', key('call', a.call), text, 'PX', 60000)
  return text
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('finish'), '-inf', now, 'LIMIT', 0, 16)) do
  local job = load(id)
  if not job or overdue(id, job) then
    redis.call('ZREM', key('finish'), id)
  elseif redis.call('HINCRBY', key('job', id), 'finish_takes', 1) > a.finish_takes then
    fail_attempt(id, job, {code = 'finish_abandoned', message = 'The audio could not be examined.', stage = 'finish', retryable = true}, 0, {stage = 'audio'})
  else
    redis.call('ZADD', key('finish'), now + a.finish_ms, id)
    return give(id, job)
  end
end

if redis.call('HEXISTS', key('control'), 'loaded') == 0 then return answer({outcome = 'unconfigured'}) end
if paused() then return answer({outcome = 'paused'}) end
if redis.call('EXISTS', key('hold')) == 1 then return answer({outcome = 'held'}) end
if free_slots() <= 0 then return answer({outcome = 'saturated'}) end
for _ = 1, 16 do -- a job whose time is over ends here; the sweep ends many at once
  local tenant = redis.call('ZRANGE', key('ready'), 0, 0)[1]
  if not tenant then break end
  local id, score = unpack(redis.call('ZPOPMIN', key('q', tenant)))
  local job = id and load(id)
  if id then weigh(tenant, math.floor(tonumber(score) / LEVEL), -1, job and -job.cost or 0) end
  if job and not overdue(id, job) then
    redis.call('ZADD', key('lease'), now + a.lease_ms, id)
    redis.call('ZADD', key('run', tenant), now, id)
    redis.call('ZREM', key('start_by'), id)
    local waited = math.max(0, now - job.queued_ms)
    if redis.call('HSETNX', key('job', id), 'started_ms', now) == 1 and job.guess_ms then
      learn_wait(job.level, tonumber(job.guess_ms), waited)
      redis.call('HDEL', key('job', id), 'guess_ms') -- what begins again later has no guess to be judged by
      sample('queue', waited)
    end
    add_usage(id, {queue_ms = waited})
    charge(id, job, math.floor(tonumber(score) / LEVEL), job.cost * pace())
    refresh(tenant)
    return give(id, job)
  end
  refresh(tenant)
end
return answer({outcome = 'empty'})
