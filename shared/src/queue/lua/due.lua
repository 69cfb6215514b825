#!lua flags=no-writes
-- Lines with a message that is due and that nobody has come for in a while.
-- Args: grace_ms
-- Returns: lines
return cjson.encode({lines = redis.call('ZCOUNT', key('owing'), '-inf', now - a.grace_ms)})
