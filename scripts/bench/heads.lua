-- Request heads for wrk: the same shape as heads.py. Constants (SEED, DISTINCT, HOSTS, PREFIXES, BODY) stand above this text.
-- The load must stay cheaper than the proxy, so everything that can be made beforehand is a table of strings: a request is one concatenation.

local band, rshift = bit.band, bit.rshift
local hex = {}
for i = 0, 255 do hex[i] = string.format("%02x", i) end
local seed = string.format("%08x", SEED)
local verb = BODY > 0 and "POST " or "GET "

local agents = {
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Safari/605.1.15",
  "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
  "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
}
local languages = { "en-GB,en;q=0.9", "fi-FI,fi;q=0.9,en;q=0.7", "de-DE,de;q=0.9,en;q=0.8", "sv-SE,sv;q=0.8,en;q=0.6" }
local topics = { "shoes", "lamps", "tents", "books", "bikes", "skis", "cups", "maps" }

-- middle[k]: from the end of the Host line to the value of the cookie; query[k]: from the path to the value of sid
local middle, query, topic = {}, {}, {}
for k = 0, 255 do
  local t = topics[k % 8 + 1]
  topic[k] = t .. "/item-"
  query[k] = "?q=" .. t .. "&page=" .. k % 90 .. "&sid=" .. seed
  middle[k] = "\r\nUser-Agent: " .. agents[k % 4 + 1]
    .. "\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
    .. "\r\nAccept-Language: " .. languages[math.floor(k / 4) % 4 + 1]
    .. "\r\nAccept-Encoding: gzip, deflate, br, zstd"
    .. "\r\nReferer: https://shop.example/" .. topics[math.floor(k / 16) % 8 + 1] .. "?page=" .. k % 90
    .. "\r\nCookie: session=" .. seed
end

local start, host = {}, {}
for i = 1, #PREFIXES do
  start[i] = verb .. PREFIXES[i]
  host[i] = " HTTP/1.1\r\nHost: " .. HOSTS[i]
end
local routes = #PREFIXES
math.randomseed(SEED)

local last = "-01\r\n\r\n"
if BODY > 0 then
  last = "-01\r\nContent-Type: application/octet-stream\r\nContent-Length: " .. BODY .. "\r\n\r\n" .. string.rep("0123456789abcdef", BODY / 16)
end

local n = 0
local function distinct()
  n = n + 1
  local k = band(n, 255)
  local id = hex[rshift(n, 24)] .. hex[band(rshift(n, 16), 255)] .. hex[band(rshift(n, 8), 255)] .. hex[k]
  local r = routes > 1 and math.random(routes) or 1
  return start[r] .. topic[k] .. id .. query[k] .. id .. host[r] .. middle[k] .. id
    .. "4f1c9a7e; theme=dark; cart=" .. seed .. id .. "; consent=all.2026-01\r\ntraceparent: 00-" .. seed .. id .. seed .. id .. "-00000000" .. id .. last
end

if DISTINCT then
  request = distinct
else
  local one = distinct()
  request = function() return one end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"us": %d, "requests": %d, "bytes": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d, "p50": %d, "p99": %d}\n',
    summary.duration, summary.requests, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
