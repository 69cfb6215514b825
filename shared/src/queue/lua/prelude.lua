-- Stands before every script: key names, the clock, and the moves that more than one transition makes.
-- KEYS[1] is the partition's tag `{p}`; ARGV[1] the policy, ARGV[2] the arguments, both JSON. Answers are JSON.
local policy, a = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local LEVEL = 2 ^ 48 -- scores are level * LEVEL + sequence: exact in a double for levels 0 to 31
local RANK = {plan = 1, audio = 2, finish = 3}
local TAGS = 10 -- of one job, at most
local TERMINAL = {completed = true, failed = true, cancelled = true, expired = true}
local ended = {} -- jobs that this script ended, for the caller to settle
local notices = {} -- jobs that have news for somebody who listens, for the caller to ring for

local function key(...) return KEYS[1] .. ':' .. table.concat({...}, ':') end

local function load(id)
  local flat, job = redis.call('HGETALL', key('job', id)), {}
  for i = 1, #flat, 2 do job[flat[i]] = flat[i + 1] end
  if job.status then return job end
end

-- The job, if it is being processed under this fence.
local function held(id, fence)
  local job = load(id)
  if job and job.status == 'processing' and job.fence == fence then return job end
end

-- The last holder presented this fence when it let the job go, and nobody has come for it since.
local function gave_back(id, fence)
  local known = redis.call('HMGET', key('job', id), 'fence', 'gave_back', 'status')
  return not known[1] and known[2] == fence and not TERMINAL[known[3]]
end

-- The id is dead: nothing brings it back for as long as a request or a worker that knows it can be on its way.
local function bury(id, ms) redis.call('SET', key('refused', id), 1, 'PX', ms) end

local function add_usage(id, usage)
  for name, ms in pairs(usage or {}) do redis.call('HINCRBY', key('job', id), name, ms) end
end

-- Counts what happened: in this minute, for the overview, and ever since, for who watches.
local function count(what)
  local minute = key('minute', math.floor(now / 60000))
  redis.call('HINCRBY', minute, what, 1)
  redis.call('PEXPIRE', minute, 7200000)
  redis.call('HINCRBY', key('totals'), what, 1)
end

-- Whoever listens to the job is to be told that it has news. The sweep rings for what nobody rang for.
local function give_notice(id, job)
  if redis.call('EXISTS', key('listeners', id), key('feed', job.user)) == 0 then return end
  redis.call(redis.call('ZCARD', key('notices')) == 0 and 'HSET' or 'HSETNX', key('clock'), 'unheard_ms', now)
  redis.call('ZADD', key('notices'), now + policy.settle_ms, id)
  if notices[#notices] ~= id then notices[#notices + 1] = id end
end

-- Appends to the event log; `extra` may carry progress, error and reason. A job that nothing has happened to since it
-- was enqueued has no list yet, which would cost a waiting job a quarter more memory: its first entry is written here.
local function log(id, job, kind, extra)
  local event = extra or {}
  event.event, event.at, event.status, event.stage = kind, now, job.status, job.stage
  event.attempt = tonumber(job.attempt)
  if not job.event_base and redis.call('EXISTS', key('events', id)) == 0 then
    local first = {event = 'job:status', at = tonumber(job.queued_ms) or now, status = 'queued', stage = 'plan', attempt = 1, reason = 'enqueued'}
    redis.call('RPUSH', key('events', id), cjson.encode(first))
  end
  local over = redis.call('RPUSH', key('events', id), cjson.encode(event)) - policy.events
  if over > 0 then
    redis.call('LTRIM', key('events', id), -policy.events, -1)
    redis.call('HINCRBY', key('job', id), 'event_base', over)
  end
  redis.call('HSET', key('job', id), 'updated_ms', now)
  give_notice(id, job)
end

-- A job that ended and was settled is kept for a while; one that goes on is not let go.
local function set_status(id, job, status)
  if TERMINAL[job.status] then redis.call('ZREM', key('kept', job.tenant), id) end
  for _, owner in ipairs({job.user, '*'}) do
    redis.call('ZREM', key('by_user', owner, job.status), id)
    redis.call('ZADD', key('by_user', owner, status), job.created_ms, id)
  end
  job.status = status
  redis.call('HSET', key('job', id), 'status', status)
end

-- A track without its waveform, which is most of it and stands in the manifest.
local function slim(track) return (string.gsub(track, '"waveform":%[%[.-%]%]', '"waveform":[]')) end

-- The record of an ended job with everything that leads to it: no list outlives what it lists.
local function forget(id, job)
  for _, owner in ipairs({job.user, '*'}) do redis.call('ZREM', key('by_user', owner, job.status), id) end
  for n = 1, TAGS do
    if job['tag' .. n] then redis.call('ZREM', key('by_user', job.user, '#' .. job['tag' .. n]), id) end
    local answers = job['answers' .. n] and key('cache', job.tenant, job['answers' .. n])
    if answers and redis.call('GET', answers) == id then redis.call('DEL', answers) end
  end
  for _, name in ipairs({'job', 'outcome', 'events', 'listeners'}) do redis.call('DEL', key(name, id)) end
  for _, name in ipairs({'outbox', 'dead', 'notices'}) do redis.call('ZREM', key(name), id) end
  redis.call('ZREM', key('kept', job.tenant), id)
  -- The log of what was delivered has an expiry once nothing is owed; what is still owed stays.
  if redis.call('PTTL', key('delivery', id)) >= 0 then redis.call('DEL', key('delivery', id)) end
end

-- Lets go of a tenant's kept jobs whose time is over, and of the oldest of too many; some at a time.
local function let_go(tenant)
  local own = key('kept', tenant)
  local over = redis.call('ZCARD', own) - policy.kept
  local ids = over > 0 and redis.call('ZRANGE', own, 0, math.min(over, 16) - 1) or redis.call('ZRANGEBYSCORE', own, '-inf', now, 'LIMIT', 0, 16)
  for _, id in ipairs(ids) do
    local job = load(id)
    if job then forget(id, job) else redis.call('ZREM', own, id) end
  end
  local next_ms = redis.call('ZRANGE', own, 0, 0, 'WITHSCORES')[2]
  if next_ms then redis.call('ZADD', key('kept'), next_ms, tenant) else redis.call('ZREM', key('kept'), tenant) end
end

-- How many jobs wait at a level, and how many audio seconds they ask for: of all tenants, and of one.
local function weigh(tenant, level, jobs, cost)
  local left = redis.call('HINCRBY', key('load'), 'n' .. level, jobs)
  redis.call('HINCRBY', key('load'), 'c' .. level, left > 0 and cost or 0)
  if left <= 0 then redis.call('HDEL', key('load'), 'n' .. level, 'c' .. level) end
  if redis.call('EXISTS', key('q', tenant)) == 1 then
    redis.call('HINCRBY', key('tenant', tenant), 'c' .. level, cost)
  else
    redis.call('HDEL', key('tenant', tenant), 'c0', 'c1', 'c2')
  end
end

-- Out of its tenant's line, if it stands there.
local function leave(id, job)
  if redis.call('ZREM', key('q', job.tenant), id) == 1 then weigh(job.tenant, job.level, -1, -job.cost) end
end

-- A turn costs its tenant virtual time, ms by its weight: an estimate when the slot is taken.
local function charge(id, job, level, ms)
  local own = redis.call('HMGET', key('tenant', job.tenant), 'weight', 'v' .. level)
  local all = math.max(tonumber(own[2]) or 0, tonumber(redis.call('HGET', key('clock'), 'v' .. level) or 0))
  local cost = math.ceil(math.max(ms, policy.turn_ms) / (tonumber(own[1]) or 1))
  redis.call('HSET', key('clock'), 'v' .. level, all)
  redis.call('HSET', key('tenant', job.tenant), 'v' .. level, all + cost)
  redis.call('HSET', key('job', id), 'charged', cost, 'charged_level', level)
end

-- Out of its slot. The estimate gives way to the time that the slot was held, or to nothing where the job is given back unharmed.
local function vacate(id, job, unharmed)
  redis.call('ZREM', key('lease'), id)
  local since = redis.call('ZSCORE', key('run', job.tenant), id)
  redis.call('ZREM', key('run', job.tenant), id)
  local level = job.charged_level
  if not level then return end
  local own = redis.call('HMGET', key('tenant', job.tenant), 'weight', 'v' .. level)
  local cost = (unharmed or not since) and 0 or math.ceil(math.max(now - tonumber(since), policy.turn_ms) / (tonumber(own[1]) or 1))
  redis.call('HSET', key('tenant', job.tenant), 'v' .. level, math.max(0, (tonumber(own[2]) or 0) + cost - job.charged))
  redis.call('HDEL', key('job', id), 'charged', 'charged_level')
  job.charged_level = nil
end

-- Takes the job out of every place where a live job can stand. What a model had of it counts as used.
local function lift(id, job, unharmed)
  if job.parked then add_usage(id, {[job.stage .. '_ms'] = math.max(0, now - job.parked_ms)}) end
  vacate(id, job, unharmed)
  for _, name in ipairs({'delayed', 'finish'}) do redis.call('ZREM', key(name), id) end
  leave(id, job)
  redis.call('HDEL', key('job', id), 'fence', 'parked', 'delayed_ms', 'finish_takes', 'current', 'total', 'percentage', 'message')
end

-- Alone decides whether a tenant may run a job now: it waits, has room, and is not paused.
local function refresh(tenant)
  local head = redis.call('ZRANGE', key('q', tenant), 0, 0, 'WITHSCORES')
  local own = redis.call('HMGET', key('tenant', tenant), 'cap', 'paused')
  local room = redis.call('ZCARD', key('run', tenant)) < (tonumber(own[1]) or policy.cap)
  local waiting = redis.call('ZCARD', key('q', tenant))
  if waiting > 0 then redis.call('ZADD', key('backlog'), waiting, tenant) else redis.call('ZREM', key('backlog'), tenant) end
  if not head[1] or not room or own[2] == '1' then return redis.call('ZREM', key('ready'), tenant) end
  local level = math.floor(tonumber(head[2]) / LEVEL)
  local mine = tonumber(redis.call('HGET', key('tenant', tenant), 'v' .. level) or 0)
  local all = tonumber(redis.call('HGET', key('clock'), 'v' .. level) or 0)
  redis.call('ZADD', key('ready'), level * LEVEL + math.max(mine, all), tenant)
end

-- Into its tenant's line, at its old place.
local function place(id, job)
  redis.call('ZADD', key('tenants'), 0, job.tenant)
  redis.call('PERSIST', key('tenant', job.tenant)) -- the sweep lets an idle tenant's expire
  if redis.call('ZADD', key('q', job.tenant), job.level * LEVEL + job.order, id) == 1 then weigh(job.tenant, job.level, 1, job.cost) end
end

-- The same for one that begins to wait now.
local function stand(id, job)
  redis.call('HSET', key('job', id), 'queued_ms', now)
  place(id, job)
end

-- Back to `queued`, now or after a delay. What only has to be finished needs no slot and stands in no line.
local function requeue(id, job, delay_ms)
  set_status(id, job, 'queued')
  if job.stage == 'finish' then
    redis.call('ZADD', key('finish'), now + delay_ms, id)
  elseif delay_ms > 0 then
    redis.call('HSET', key('job', id), 'delayed_ms', now + delay_ms, 'queued_ms', now)
    redis.call('ZADD', key('delayed'), now + delay_ms, id)
  else
    stand(id, job)
  end
end

-- Terminal, and in the outbox until somebody has settled it.
local function finish(id, job, status, extra)
  lift(id, job)
  redis.call('ZREM', key('start_by'), id)
  redis.call('ZREM', key('finish_by'), id)
  set_status(id, job, status)
  redis.call('HSET', key('job', id), 'completed_ms', now)
  redis.call('ZADD', key('outbox'), now + policy.settle_ms, id)
  log(id, job, status == 'completed' and 'job:completed' or 'job:failed', extra)
  count(status)
  ended[#ended + 1] = id
  refresh(job.tenant)
end

-- Ends a live job whose time is over; says whether it did. A job that has started is in `finish_by` alone.
local function overdue(id, job)
  for _, clock in ipairs({'start_by', 'finish_by'}) do
    local due = redis.call('ZSCORE', key(clock), id)
    if due and tonumber(due) <= now then
      finish(id, job, 'expired', {reason = clock})
      return true
    end
  end
  return false
end

-- Ends the attempt: another one follows after the delay, or the job has failed for good. A lasting cause that ended the
-- attempt before this one, too, would end every other.
local function fail_attempt(id, job, error, delay_ms, change, lasting)
  local before = lasting and redis.call('GET', key('outcome', id))
  if before then
    before = cjson.decode(before)
    if before.code == error.code and before.message == error.message then error.retryable = false end
  end
  redis.call('SET', key('outcome', id), cjson.encode(error))
  if not error.retryable or tonumber(job.attempt) >= tonumber(job.max_attempts) then
    if error.retryable then redis.call('ZADD', key('dead'), now, id) end
    return finish(id, job, 'failed', {error = error})
  end
  lift(id, job)
  for name, value in pairs(change or {}) do
    job[name] = value
    redis.call('HSET', key('job', id), name, value)
  end
  requeue(id, job, delay_ms)
  log(id, job, 'job:error', {error = error})
  redis.call('HINCRBY', key('job', id), 'attempt', 1)
  refresh(job.tenant)
end

-- Holders whose lease ran out have lost their attempt; the next one starts at once, at the job's old place.
local function reap(most)
  local ids = redis.call('ZRANGEBYSCORE', key('lease'), '-inf', now, 'LIMIT', 0, most)
  for _, id in ipairs(ids) do
    local job = load(id)
    if job then
      local who = job.parked and 'model_silent' or 'worker_lost'
      local said = job.parked and 'The model service did not report in time.' or 'The worker stopped responding.'
      fail_attempt(id, job, {code = who, message = said, stage = job.stage, retryable = true}, 0)
    else
      redis.call('ZREM', key('lease'), id)
    end
  end
  return #ids
end

-- Delayed retries that are due stand in line again.
local function promote(most)
  local ids = redis.call('ZRANGEBYSCORE', key('delayed'), '-inf', now, 'LIMIT', 0, most)
  for _, id in ipairs(ids) do
    redis.call('ZREM', key('delayed'), id)
    redis.call('HDEL', key('job', id), 'delayed_ms')
    local job = load(id)
    if job then
      stand(id, job)
      refresh(job.tenant)
    end
  end
  return #ids
end

-- What an operator set, else the configuration.
local function slots() return tonumber(redis.call('HGET', key('control'), 'slots')) or policy.slots end
local function paused() return redis.call('HGET', key('control'), 'paused') == '1' end

local function free_slots() return slots() - redis.call('ZCARD', key('lease')) end

-- How many jobs a worker that came now would be given, at most `most`.
local function eligible(most)
  local due = redis.call('ZCOUNT', key('finish'), '-inf', now)
  if redis.call('EXISTS', key('hold')) == 0 and not paused() then
    due = due + math.max(0, math.min(free_slots(), redis.call('ZCARD', key('ready'))))
  end
  return math.min(due, most)
end

-- Fields of services that failed of late; nil where none did.
local function troubled()
  local flat, fields = redis.call('HGETALL', key('breaker')), nil
  for i = 1, #flat, 2 do
    fields = fields or {}
    fields[flat[i]] = tonumber(flat[i + 1])
  end
  return fields
end

-- A render is over: if the line waits for a busy service, that may have room now.
local function made_room()
  if redis.call('GET', key('hold')) == 'busy' then redis.call('DEL', key('hold')) end
end

-- Notes since when something could run and no worker came for it: acquire begins anew.
local function owed(bells)
  if bells > 0 then redis.call('HSETNX', key('clock'), 'owed_ms', now) else redis.call('HDEL', key('clock'), 'owed_ms') end
  return bells
end

local function answer(t)
  if #ended > 0 then t.ended = ended end
  if #notices > 0 then t.notices = notices end
  t.ring = t.ring or owed(eligible(1))
  return cjson.encode(t)
end
