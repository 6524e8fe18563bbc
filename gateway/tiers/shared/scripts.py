"""What the engine does in one step: Lua scripts over the tier's keys.

KEYS[1], a hash, is the state: `epoch`, the random name of all that is kept here; `run`, the engine's process that was
last seen; `last`, the newest stamp; `floor`, below which no entry is believed; `purged`, the stamp of the last purge;
`since`, from which on the purges in the stream are all there were; `globs`, the purges by pattern.
KEYS[2], a sorted set, holds the stamp of the last purge of each key and tag, and of the purges by their id; its first
member names the epoch, so that a set which the engine has evicted is noticed.

A stamp is a number that only grows: the engine's clock in microseconds, or one more than the last. An entry is stamped
with what its instance had heard of when the load began; every purge with a later stamp is about it, wherever it was
made. That is why a purge costs the same however many entries it is about, and why a load that began before a purge
can't bring back what was purged: neither a write nor a read lets it pass (compare Varnish's ban list).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

STALE_EPOCH = "EPOCH"
"""The error of every script where what was kept under this epoch is gone."""

MAX_MARKS = 16_384
"""Members of the sorted set, two for each purge; beyond, the oldest half is widened to all entries that are older."""

MAX_GLOBS = 16
"""Purges by pattern, of which each read tries every one; the oldest of more is widened, too."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the name under which the engine knows it once it is loaded."""

    source: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()  # what EVALSHA wants
        object.__setattr__(self, "sha", digest)


_STATE = """
local function known()
  local state = redis.call('HMGET', KEYS[1], 'epoch', 'floor', 'globs', 'last')
  if state[1] ~= ARGV[1] or not redis.call('ZSCORE', KEYS[2], '!' .. ARGV[1]) then return nil end
  return {floor = tonumber(state[2]), globs = cmsgpack.unpack(state[3]), last = tonumber(state[4])}
end
local EPOCH = {err = 'EPOCH what was kept under this epoch is gone'}
local function next_stamp(last)
  local time = redis.call('TIME')
  return math.max(last + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
end
local function text(stamp) return string.format('%.0f', stamp) end
"""

_PURGED = """
local function matches(pattern, name)
  local star = string.find(pattern, '*', 1, true)
  if not star then return pattern == name end
  if string.sub(name, 1, star - 1) ~= string.sub(pattern, 1, star - 1) then return false end
  local at, from = star, star + 1
  while true do
    star = string.find(pattern, '*', from, true)
    if not star then break end
    if star > from then
      local _, stop = string.find(name, string.sub(pattern, from, star - 1), at, true)
      if not stop then return false end
      at = stop + 1
    end
    from = star + 1
  end
  local last = string.sub(pattern, from)
  return #name - at + 1 >= #last and (last == '' or string.sub(name, -#last) == last)
end
-- Whether a purge since `stamp` is about the entry; and the latest stamp of such a soft one, 0 where there is none.
local function purged(state, stamp, key, tags)
  if stamp < state.floor then return true, 0 end
  local soft = 0
  for _, glob in ipairs(state.globs) do
    if glob[2] > stamp and matches(glob[1], key) then
      if glob[3] == 0 then return true, 0 end
      soft = math.max(soft, glob[2])
    end
  end
  local names = {'hk' .. key, 'sk' .. key}
  for _, tag in ipairs(tags) do
    names[#names + 1] = 'ht' .. tag
    names[#names + 1] = 'st' .. tag
  end
  for first = 1, #names, 1000 do
    local marks = redis.call('ZMSCORE', KEYS[2], unpack(names, first, math.min(first + 999, #names)))
    for index, mark in ipairs(marks) do
      local at = mark and tonumber(mark) or 0
      if at > stamp then
        if (first + index) % 2 == 0 then return true, 0 end
        soft = math.max(soft, at)
      end
    end
  end
  return false, soft
end
"""

_READ = """
local function read(state, key, seen)
  local kept = redis.call('HMGET', KEYS[3], 's', 't', 'r', 'v')
  if not (kept[1] and kept[2] and kept[3] and kept[4]) or kept[4] == seen then return nil end
  local stamp = tonumber(kept[1])
  local good, tags = pcall(cmsgpack.unpack, kept[2])
  if not stamp or not good or type(tags) ~= 'table' then return {kept[1], kept[2], kept[3], '0', kept[4]} end
  local gone, soft = purged(state, stamp, key, tags)
  if gone then return nil end
  return {kept[1], kept[2], kept[3], text(soft), kept[4]}
end
"""

GREET = Script(
    _STATE
    + """
-- ARGV: a new epoch, the engine's run. Answers epoch, now, since, the last purge.
local state = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'last', 'since', 'purged')
if not state[1] or not redis.call('ZSCORE', KEYS[2], '!' .. state[1]) then
  local now = next_stamp(0)
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'run', ARGV[2], 'last', text(now), 'floor', text(now),
    'since', text(now), 'purged', '0', 'globs', cmsgpack.pack({}))
  redis.call('ZADD', KEYS[2], 0, '!' .. ARGV[1])
  return {ARGV[1], text(now), text(now), '0'}
end
local now = next_stamp(tonumber(state[3]))
local since, last = state[4], tonumber(state[5])
if state[2] ~= ARGV[2] then
  -- Another process: it may have lost its last writes, purges among them. What is kept in it is believed no more.
  redis.call('HSET', KEYS[1], 'run', ARGV[2], 'floor', text(now))
end
if last > 0 then
  local newest = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
  if not newest or newest[1] ~= text(last) .. '-0' then
    since = text(now)
    redis.call('HSET', KEYS[1], 'since', since)
  end
end
redis.call('HSET', KEYS[1], 'last', text(now))
return {state[1], text(now), since, state[5]}
"""
)
"""Begins a session. KEYS[3] is the stream."""

BEAT = Script(
    _STATE
    + """
-- ARGV: epoch. Answers now, and the stamp of the last purge: all purges up to it have been published by now.
local state = known()
if not state then return EPOCH end
local now = next_stamp(state.last)
redis.call('HSET', KEYS[1], 'last', text(now))
return {text(now), redis.call('HGET', KEYS[1], 'purged')}
"""
)

PURGE = Script(
    _STATE
    + f"""
-- ARGV: epoch, id, kind, value, 1 for soft, history in microseconds, channel. Answers the purge's stamp.
local state = known()
if not state then return EPOCH end
local earlier = redis.call('ZSCORE', KEYS[2], 'i' .. ARGV[2])
if earlier then return text(tonumber(earlier)) end
local stamp = next_stamp(state.last)
local kind, value, soft = ARGV[3], ARGV[4], ARGV[5] == '1'
if kind == 'all' and not soft then
  state.floor, state.globs = stamp, {{}}
elseif kind == 'all' or kind == 'glob' then
  local globs = {{}}
  for _, glob in ipairs(state.globs) do
    if glob[1] ~= value or (soft and glob[3] == 0) then globs[#globs + 1] = glob end
  end
  globs[#globs + 1] = {{kind == 'all' and '*' or value, stamp, soft and 1 or 0}}
  while #globs > {MAX_GLOBS} do
    state.floor = math.max(state.floor, table.remove(globs, 1)[2])
  end
  state.globs = globs
else
  redis.call('ZADD', KEYS[2], text(stamp), (soft and 's' or 'h') .. string.sub(kind, 1, 1) .. value)
end
redis.call('ZADD', KEYS[2], text(stamp), 'i' .. ARGV[2])
if redis.call('ZCARD', KEYS[2]) > {MAX_MARKS} then
  local middle = redis.call('ZRANGE', KEYS[2], {MAX_MARKS // 2}, {MAX_MARKS // 2}, 'WITHSCORES')[2]
  redis.call('ZREMRANGEBYRANK', KEYS[2], 1, {MAX_MARKS // 2})
  state.floor = math.max(state.floor, tonumber(middle))
end
redis.call('XADD', KEYS[3], text(stamp) .. '-0', 'i', ARGV[2], 'k', kind, 'v', value, 's', ARGV[5])
local horizon = stamp - tonumber(ARGV[6])
local trimmed = redis.call('XTRIM', KEYS[3], 'MINID', text(horizon) .. '-0')
if trimmed == 0 and redis.call('XTRIM', KEYS[3], 'MAXLEN', {MAX_MARKS}) > 0 then
  local first = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)[1][1]
  horizon, trimmed = tonumber(string.match(first, '^%d+')), 1
end
if trimmed > 0 then redis.call('HSET', KEYS[1], 'since', text(horizon)) end
redis.call('HSET', KEYS[1], 'last', text(stamp), 'purged', text(stamp), 'floor', text(state.floor),
  'globs', cmsgpack.pack(state.globs))
redis.call('PUBLISH', ARGV[7], cmsgpack.pack({{text(stamp), ARGV[2], kind, value, ARGV[5]}}))
return text(stamp)
"""
)
"""A purge, told to all at once and kept in the stream KEYS[3]; one that is there already is not made again."""

GET = Script(
    _STATE
    + _PURGED
    + _READ
    + """
-- ARGV: epoch, key. Answers stamp, tags, row, the stamp of a soft purge or 0, version; nothing where there is none.
local state = known()
if not state then return EPOCH end
return read(state, ARGV[2], '')
"""
)
"""The entry KEYS[3], if nothing that it was made of was purged."""

PUT = Script(
    _STATE
    + _PURGED
    + """
-- ARGV: epoch, key, stamp, tags, row, milliseconds to live, version. Answers 1, or 0 for what a purge has overtaken.
local state = known()
if not state then return EPOCH end
if purged(state, tonumber(ARGV[3]), ARGV[2], cmsgpack.unpack(ARGV[4])) then return 0 end
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[3], 's', ARGV[3], 't', ARGV[4], 'r', ARGV[5], 'v', ARGV[7])
redis.call('PEXPIRE', KEYS[3], ARGV[6])
return 1
"""
)
"""Keeps the entry KEYS[3]."""

TAKE = Script(
    _STATE
    + _PURGED
    + _READ
    + """
-- ARGV: epoch, key, token, milliseconds of a lease, version of the entry that was seen, token that was waited for.
-- Answers {'entry', as GET}, {'failed', how}, {'yours'} or {'wait', token, milliseconds}.
local state = known()
if not state then return EPOCH end
local kept = read(state, ARGV[2], ARGV[5])
if kept then return {'entry', unpack(kept)} end
local holder = redis.call('GET', KEYS[4])
if holder then return {'wait', holder, redis.call('PTTL', KEYS[4])} end
if ARGV[6] ~= '' then
  local failure = redis.call('HMGET', KEYS[5], 'token', 'how')
  if failure[1] == ARGV[6] then return {'failed', failure[2]} end
end
redis.call('SET', KEYS[4], ARGV[3], 'PX', ARGV[4])
return {'yours'}
"""
)
"""The entry KEYS[3] if it is another one than was seen, else the lease KEYS[4]; KEYS[5] is how the last one failed."""

RELEASE = Script(
    """
-- ARGV: token, how it failed or '', milliseconds to remember that.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[2], 'token', ARGV[1], 'how', ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return 1
"""
)
"""Gives up the lease KEYS[1], if it still is the caller's."""

RATE = Script(
    """
-- ARGV: microseconds between two tokens, how many may come at once beyond the first as microseconds, how many are
-- taken, longest wait in microseconds. Answers how long to wait (-1: too long, none are taken) and until it is full.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') or 0, now)
local wait = math.max(0, full - tonumber(ARGV[2]) - now)
if wait > tonumber(ARGV[4]) then return {'-1', string.format('%.0f', full - now), string.format('%.0f', wait)} end
full = full + tonumber(ARGV[1]) * tonumber(ARGV[3])
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1000)
return {string.format('%.0f', wait), string.format('%.0f', full - now), '0'}
"""
)
"""A token bucket of all instances, as the time at which it is full again (compare gateway.upstream.policies.rate)."""

SCRIPTS = (GREET, BEAT, PURGE, GET, PUT, TAKE, RELEASE, RATE)
