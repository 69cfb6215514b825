#!lua flags=allow-oom
-- Gives a worker the best job that may run: one to finish first, else the first of the first tenant in `ready`.
-- Args: call (id of this call: a repeat gets the same answer for 60 s), nonce, lease_ms, finish_ms, finish_takes
-- Returns: outcome job | empty | saturated | held; with a job: id, fence, fields, request, logged (events kept)
local kept = redis.call('GET', key('call', a.call))
if kept then return kept end
reap(16)
promote(16)
local function give(id, job)
  set_status(id, job, 'processing')
  log(id, job, 'job:status', {reason = 'acquired'})
  job.fence = redis.call('HINCRBY', key('clock'), 'fence', 1) .. '-' .. a.nonce
  redis.call('HSET', key('job', id), 'fence', job.fence)
  local request, logged = redis.call('GET', key('request', id)) or nil, redis.call('LLEN', key('events', id))
  local text = answer({outcome = 'job', id = id, fence = job.fence, fields = load(id), request = request, logged = logged})
  redis.call('SET', key('call', a.call), text, 'PX', 60000)
  return text
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('finish'), '-inf', now, 'LIMIT', 0, 16)) do
  local job = load(id)
  if not job then
    redis.call('ZREM', key('finish'), id)
  elseif redis.call('HINCRBY', key('job', id), 'finish_takes', 1) > a.finish_takes then
    fail_attempt(id, job, {code = 'finish_abandoned', message = 'The audio could not be examined.', stage = 'finish', retryable = true}, 0, {stage = 'audio'})
  else
    redis.call('ZADD', key('finish'), now + a.finish_ms, id)
    return give(id, job)
  end
end

if redis.call('EXISTS', key('hold')) == 1 then return answer({outcome = 'held'}) end
if free_slots() <= 0 then return answer({outcome = 'saturated'}) end
for _ = 1, 16 do
  local tenant = redis.call('ZRANGE', key('ready'), 0, 0)[1]
  if not tenant then break end
  local id, score = unpack(redis.call('ZPOPMIN', key('q', tenant)))
  local job = id and load(id)
  if job then
    redis.call('ZADD', key('lease'), now + a.lease_ms, id)
    redis.call('ZADD', key('run', tenant), now, id)
    redis.call('ZREM', key('start_by'), id)
    redis.call('HSETNX', key('job', id), 'started_ms', now)
    add_usage(id, {queue_ms = math.max(0, now - job.queued_ms)})
    local run = job.generation .. '.' .. job.attempt
    if job.charged ~= run then -- a job given back unused is not charged twice
      local v = 'v' .. math.floor(tonumber(score) / LEVEL)
      local weight = tonumber(redis.call('HGET', key('tenant', tenant), 'weight') or 1)
      local mine = tonumber(redis.call('HGET', key('tenant', tenant), v) or 0)
      local all = math.max(mine, tonumber(redis.call('HGET', key('clock'), v) or 0))
      redis.call('HSET', key('clock'), v, all)
      redis.call('HSET', key('tenant', tenant), v, all + math.ceil(job.cost / weight))
      redis.call('HSET', key('job', id), 'charged', run)
    end
    refresh(tenant)
    return give(id, job)
  end
  refresh(tenant)
end
return answer({outcome = 'empty'})
