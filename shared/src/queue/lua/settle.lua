#!lua flags=allow-oom
-- What an ended job owed is done: it leaves the outbox and is kept for the retention time, or until its tenant has too many.
-- Or not yet: it is tried again after `again_ms`, doubled with each try, at most 512 times as long.
-- Args: id, generation, again_ms? (with the caller's jitter)
-- Returns: outcome ok | stale (retried meanwhile) ; tries ; first (it left the outbox by this call)
local job = load(a.id)
if not job or not TERMINAL[job.status] or tonumber(job.generation) ~= a.generation then return answer({outcome = 'stale'}) end
if a.again_ms then
  local tries = redis.call('HINCRBY', key('job', a.id), 'settle_tries', 1)
  redis.call('ZADD', key('outbox'), 'XX', now + a.again_ms * 2 ^ math.min(tries - 1, 9), a.id)
  return answer({outcome = 'ok', tries = tries})
end
local first = redis.call('ZREM', key('outbox'), a.id) == 1
-- The manifest has the waveform, which is most of a track.
local track = job.status == 'completed' and redis.call('GET', key('outcome', a.id))
if track then redis.call('SET', key('outcome', a.id), (string.gsub(track, '"waveform":%[%[.-%]%]', '"waveform":[]'))) end
redis.call('ZADD', key('kept', job.tenant), 'NX', now + policy.retention_ms, a.id)
let_go(job.tenant)
return answer({outcome = 'ok', first = first})
