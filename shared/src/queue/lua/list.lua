#!lua flags=allow-oom
-- Uses: rate, walk
-- One page of jobs by age, the latest first. Looks at a bounded number of entries, and says where the next page goes on.
-- Args: tenant? (whose reads count), owner (a user, or * for everybody) or dead (true: the jobs out of attempts), status?, tag?,
--   from? {ms, id} (only what comes after it), limit
-- Returns: outcome page | limited {retry_ms}; quota?; jobs? [{id, fields, result?, logged, unrecorded?, position?}], next? {ms, id}
local per_minute = policy.read_per_minute
local retry_ms, quota
if a.tenant then retry_ms, quota = limited('read', a.tenant, per_minute) end
if retry_ms then return cjson.encode({outcome = 'limited', retry_ms = retry_ms, quota = quota}) end

local function list(of) return key('by_user', a.owner, of) end
local names, test, tag = {}, nil, a.tag
if a.dead then
  names = {key('dead')}
elseif tag and a.owner ~= '*' then
  names, tag = {list('#' .. tag)}, nil
  if a.status then test = list(a.status) end
  -- The shorter of both is walked.
  if test and redis.call('ZCARD', test) < redis.call('ZCARD', names[1]) then names, test = {test}, names[1] end
elseif a.status then
  names = {list(a.status)}
else
  for _, status in ipairs({'queued', 'processing', 'completed', 'failed', 'cancelled', 'expired'}) do names[#names + 1] = list(status) end
end

local fields = {}
for n = 1, TAGS do fields[n] = 'tag' .. n end
local function tagged(id)
  for _, own in ipairs(redis.call('HMGET', key('job', id), unpack(fields))) do
    if own == tag then return true end
  end
end

local most = tag and 500 or 2000 -- entries that may be passed over; to read a tag costs more than to look into a list
local jobs, looked, last, walk = {}, 0, nil, walk_through(names, a.from, a.limit + 1)
while walk.peek() and #jobs < a.limit and looked < most do
  looked, last = looked + 1, walk.step()
  if (not test or redis.call('ZSCORE', test, last.id)) and (not tag or tagged(last.id)) then
    local job = load(last.id)
    if job then
      jobs[#jobs + 1] = {
        id = last.id, fields = job, result = redis.call('GET', key('outcome', last.id)) or nil, logged = redis.call('LLEN', key('events', last.id)),
        unrecorded = TERMINAL[job.status] and not job.settle_tries and redis.call('ZSCORE', key('outbox'), last.id) and true or nil,
        position = job.status == 'queued' and redis.call('ZRANK', key('q', job.tenant), last.id) or nil,
      }
    end
  end
end
local more = #jobs + math.floor(looked / 50) - 1
if quota and more > 0 then quota = spend_more('read', a.tenant, per_minute, more) end
return cjson.encode({outcome = 'page', quota = quota, jobs = #jobs > 0 and jobs or nil, next = walk.peek() and last or nil})
