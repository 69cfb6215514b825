#!lua flags=allow-oom
-- The attempt failed, as its worker or its model says.
-- Args: id, fence? (none: a role token, while a model holds the job), error {code, message, stage, retryable}, delay_ms,
--   cause passing | lasting, change? {stage?, seed?} for the next attempt, usage
-- Returns: outcome queued | failed | stale | ended | unknown
local job = load(a.id)
if not job then return answer({outcome = 'unknown'}) end
if TERMINAL[job.status] then return answer({outcome = 'ended'}) end
local speaks = job.status == 'processing' and (a.fence and job.fence == a.fence or not a.fence and job.parked)
if not speaks then return answer({outcome = 'stale'}) end
add_usage(a.id, a.usage)
fail_attempt(a.id, job, a.error, a.delay_ms, a.change, a.cause == 'lasting')
return answer({outcome = job.status})
