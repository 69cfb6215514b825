-- Behind the prelude where a script says `Uses: estimate`: how long a job waits, learnt from how long jobs waited and took.

-- Into the times of this hour, in steps of a fifth: the overview reads percentiles from them.
local function sample(stage, ms)
  local hour = key('times', math.floor(now / 3600000))
  redis.call('HINCRBY', hour, stage .. ':' .. math.floor(4 * math.log(math.max(ms, 1)) / math.log(2)), 1)
  redis.call('PEXPIRE', hour, 10800000)
  redis.call('HINCRBY', key('totals'), stage .. '_n', 1)
  redis.call('HINCRBY', key('totals'), stage .. '_ms', math.floor(ms))
end

-- The same of a stage that is over now, all attempts of the job together.
local function sample_stage(id, stage) sample(stage, tonumber(redis.call('HGET', key('job', id), stage .. '_ms')) or 0) end

-- A moving average: each new value counts for a fiftieth.
local function average(name, value)
  local old = tonumber(redis.call('HGET', key('eta'), name))
  local new = old and old + (value - old) / 50 or value
  redis.call('HSET', key('eta'), name, string.format('%.3f', new))
  return new
end

-- What a job took of its slot, when it leaves it with its audio made; and what that is for each requested second.
local function learn_pace(id, job)
  local used = redis.call('HMGET', key('job', id), 'plan_ms', 'audio_ms')
  local ms = average('slot_ms', (tonumber(used[1]) or 0) + (tonumber(used[2]) or 0))
  redis.call('HSET', key('eta'), 'per_cost', string.format('%.3f', ms / average('cost', job.cost)))
end

-- Slot time in ms for each requested second, as learnt.
local function pace() return tonumber(redis.call('HGET', key('eta'), 'per_cost')) or 1000 end

local function least(ms) return math.max(ms, 100) end -- a wait of nothing could not be multiplied

-- Guesses of one level and size have the same honesty: powers of two from 100 ms, the last from 7 h.
local function group(level, ms) return level .. ':' .. math.floor(math.log(math.min(least(ms), 26214400) / 100) / math.log(2)) end

local START = {[50] = 1, [90] = 2.5} -- factors before anything was learnt
local function factor(of, share) return tonumber(redis.call('HGET', key('eta'), 'm' .. share .. ':' .. of)) or START[share] end

-- A factor that held goes down a little, one that did not goes up more: it settles where its share of waits stays under it,
-- and the steps are long enough to follow the hours of a day.
local function learn_wait(level, guess, waited)
  local of = group(level, guess)
  local seen = redis.call('HINCRBY', key('eta'), 'n:' .. of, 1)
  for share in pairs(START) do
    local f = factor(of, share)
    local held = waited <= f * least(guess)
    local step = math.max(0.1, 1 / (seen + 1)) * (held and share / 100 - 1 or share / 100)
    f = math.min(math.max(f * math.exp(step), 0.01), 100)
    redis.call('HSET', key('eta'), 'm' .. share .. ':' .. of, string.format('%.4f', f))
  end
end

-- Requested seconds that were submitted in a ms of late, at a level, to all or to one tenant; half forgotten in 20 minutes.
local function inflow(name, level, more)
  local known = redis.call('HMGET', name, 'r' .. level, 'r' .. level .. '_ms')
  local rate = (tonumber(known[1]) or 0) * math.exp(((tonumber(known[2]) or now) - now) / 1800000) + (more or 0) / 1800000
  if more then redis.call('HSET', name, 'r' .. level, string.format('%.6g', rate), 'r' .. level .. '_ms', now) end
  return rate
end

-- The wait in ms of a job at its place in line, if all goes on as it did: the work that goes first by level, by its own
-- line and by the turns of other tenants, and what of that is still to come, over the slots; or over the tenant's cap, if that is slower.
local function guess(id, job)
  local level, line = tonumber(job.level), key('q', job.tenant)
  local own = redis.call('HMGET', key('tenant', job.tenant), 'cap', 'weight', 'v' .. level, 'c0', 'c1', 'c2')
  local load = redis.call('HMGET', key('load'), 'c0', 'c1', 'c2')
  local per_cost, slot_ms = pace(), tonumber(redis.call('HGET', key('eta'), 'slot_ms')) or 30000
  local cap, weight = tonumber(own[1]) or policy.cap, tonumber(own[2]) or 1
  local function mine(l) return tonumber(own[4 + l]) or 0 end
  local function all(l) return tonumber(load[1 + l]) or 0 end

  local above = redis.call('ZCOUNT', line, '-inf', '(' .. string.format('%.0f', level * LEVEL))
  local beside = redis.call('ZCOUNT', line, string.format('%.0f', level * LEVEL), '(' .. string.format('%.0f', (level + 1) * LEVEL))
  local before = redis.call('ZCOUNT', line, '-inf', '(' .. string.format('%.0f', level * LEVEL + job.order))
  local ahead, first, coming = beside > 0 and mine(level) * (before - above) / beside or 0, 0, 0
  for l = 0, level - 1 do
    ahead, first, coming = ahead + mine(l), first + all(l) - mine(l), coming + inflow(key('eta'), l)
  end
  local lag = (tonumber(own[3]) or 0) - (tonumber(redis.call('HGET', key('clock'), 'v' .. level)) or 0)
  local rivals = math.max(0, redis.call('ZCARD', key('backlog')) - 1)
  local turns = rivals * (math.max(0, lag) / math.max(1, per_cost) + ahead / weight)

  local free, width = free_slots(), math.max(1, slots())
  -- Work that comes at a rate of `rate` and goes first makes `work` last longer; it is not believed to go on for ever.
  local function last(work, rate)
    local ms = math.max(0, work * per_cost - math.max(0, free) * slot_ms) / width
    return ms / math.max(0.1, 1 - rate * per_cost / width)
  end
  local beside_rate = math.max(0, inflow(key('eta'), level) - inflow(key('tenant', job.tenant), level))
  local wait = math.min(last(ahead + first + math.max(0, all(level) - mine(level)), coming + beside_rate), last(ahead + first + turns, coming))
  if free <= 0 then wait = wait + slot_ms / (width + 1) end
  local room = cap - redis.call('ZCARD', key('run', job.tenant))
  local own_wait = math.max(0, ahead * per_cost - math.max(0, room) * slot_ms) / cap
  if room <= 0 then own_wait = own_wait + slot_ms / (cap + 1) end
  return math.floor(math.max(wait, own_wait)), before
end

-- {p50, p90} in ms; a delayed job's time in line begins when it is due.
local function eta(id, job)
  local wait, before = guess(id, job)
  local rest = math.max(0, (tonumber(job.delayed_ms) or 0) - now)
  local of = group(job.level, wait)
  local p50 = rest + least(wait) * factor(of, 50)
  return {math.floor(p50), math.floor(math.max(p50, rest + least(wait) * factor(of, 90)))}, before
end
