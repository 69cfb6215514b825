#!lua
-- Writes as new work does, so it is refused wherever that is. No allow-oom: a full Redis must be noticed.
-- Args: none
-- Returns: policy (what Redis does with its keys when it is full)
redis.call('SET', key('probe'), now, 'PX', 60000)
return cjson.encode({policy = string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:(%S+)') or 'noeviction'})
