#!lua flags=allow-oom
-- Ends jobs whose time is over: unstarted ones by `start_by`, all by `finish_by`. At most 50 of each.
-- Args: none
-- Returns: count (jobs looked at)
local count = 0
for _, clock in ipairs({'start_by', 'finish_by'}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key(clock), '-inf', now, 'LIMIT', 0, 50)) do
    count = count + 1
    redis.call('ZREM', key(clock), id)
    local job = load(id)
    if job and not TERMINAL[job.status] then finish(id, job, 'expired', {reason = clock}) end
  end
end
return answer({count = count})
