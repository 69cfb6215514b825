#!lua flags=allow-oom
-- A model's heartbeat. Figures that come too fast for the log are kept with the job, and are no event.
-- Args: id, fence? (none: a role token, which may speak only while a model holds the job), deadline_ms,
--   progress? {current, total, percentage, message}, usage
-- Returns: outcome ok | stale | ended | unknown
local job = load(a.id)
if not job then return answer({outcome = 'unknown', ring = 0}) end
if TERMINAL[job.status] then return answer({outcome = 'ended', ring = 0}) end
local speaks = job.status == 'processing' and (a.fence and job.fence == a.fence or not a.fence and job.parked)
if not speaks or job.stage == 'finish' then return answer({outcome = 'stale', ring = 0}) end
if job.parked then redis.call('ZADD', key('lease'), now + a.deadline_ms, a.id) end
add_usage(a.id, a.usage)
local p = a.progress
if p then
  redis.call('HSET', key('job', a.id), 'current', p.current, 'total', p.total, 'percentage', p.percentage, 'message', p.message)
  if now - (tonumber(job.progress_ms) or 0) >= policy.progress_ms then
    redis.call('HSET', key('job', a.id), 'progress_ms', now)
    log(a.id, job, 'job:progress', {progress = p})
  end
end
return answer({outcome = 'ok', ring = 0})
