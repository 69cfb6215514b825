-- Behind the prelude where a script says `Uses: walk`: sorted sets of jobs by age, walked through as one, the latest first.

-- `from` {ms, id}? is where the way begins, itself left out; `batch` entries are read at a time.
local function walk_through(names, from, batch)
  local sources, first = {}, nil
  for i, name in ipairs(names) do sources[i] = {name = name, page = {}, at = 1, read = 0} end

  -- The next entry of one list; nil at its end.
  local function head(of)
    while of.at <= #of.page or not of.over do
      if of.at > #of.page then
        of.page = redis.call('ZREVRANGEBYSCORE', of.name, from and from.ms or '+inf', '-inf', 'WITHSCORES', 'LIMIT', of.read, batch)
        of.read, of.at, of.over = of.read + batch, 1, #of.page < 2 * batch
      else
        local id, ms = of.page[of.at], tonumber(of.page[of.at + 1])
        if not from or ms < from.ms or id < from.id then return {id = id, ms = ms, of = of} end
        of.at = of.at + 2
      end
    end
  end

  local walk = {}
  -- The next entry of all lists, nil when all are at their end.
  function walk.peek()
    if first then return first end
    for _, of in ipairs(sources) do
      local one = head(of)
      if one and (not first or one.ms > first.ms or one.ms == first.ms and one.id > first.id) then first = one end
    end
    return first
  end
  -- Goes past it.
  function walk.step()
    local entry = walk.peek()
    first, entry.of.at = nil, entry.of.at + 2
    return {id = entry.id, ms = entry.ms}
  end
  return walk
end
