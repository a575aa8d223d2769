-- A provider that keeps its limits and is never the bottleneck.

local meters = require("meters")
local provider = {}
local settings, requests, tokens

-- A text of 700 characters; with what stands around it an answer has about 1 KB.
local TEXT = string.rep("The passage says what it means to say. ", 18)
local OPENING = [[{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,]]
    .. [["model":"bench","choices":[{"index":0,"message":{"role":"assistant",]]
    .. [["content":"]]
local MIDDLE = [[","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],]]
local USAGE = [["usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,]]
    .. [["prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},]]
    .. [["completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},]]
    .. [["service_tier":"default","system_fingerprint":"fp_bench"}]]
local REFUSAL = [[{"error":{"message":"Rate limit reached for bench on %s per min.]]
    .. [[ Please try again in %dms.","type":"%s","param":null,]]
    .. [["code":"rate_limit_exceeded"}}]]

local function meter(kind, limit, burst)
    if limit == 0 then
        return nil
    end
    return kind == "window" and meters.window(limit) or meters.bucket(limit, burst)
end

function provider.configure(given)
    settings = given
    requests = meter(given.meter, given.rpm, given.request_burst)
    tokens = meter(given.meter, given.tpm, given.token_burst)
end

-- A fraction between 0 and 1 that belongs to the item, whoever asks for it.
local function fraction(number, salt)
    local mixed = (number * 7919 + salt * 104729) % 1000003
    return (mixed * 48271 % 1000003) / 1000003
end

local function shown(name, held, now)
    local remaining, reset = held.shown(now)
    ngx.header["x-ratelimit-limit-" .. name] = held.limit
    ngx.header["x-ratelimit-remaining-" .. name] = math.floor(remaining)
    ngx.header["x-ratelimit-reset-" .. name] = string.format("%.3fs", reset)
end

local function show_limits(now)
    if requests then shown("requests", requests, now) end
    if tokens then shown("tokens", tokens, now) end
end

local function refuse(now, name, wait)
    local wait_ms = math.ceil(wait * 1000)
    ngx.status = 429
    ngx.header["retry-after-ms"] = wait_ms
    ngx.header["retry-after"] = math.ceil(wait)
    show_limits(now)
    ngx.print(string.format(REFUSAL, name, wait_ms, name))
end

local function admitted(now, charge)
    local wait = requests and requests.wait(now, 1) or 0
    if wait > 0 then
        refuse(now, "requests", wait)
        return false
    end
    wait = tokens and tokens.wait(now, charge) or 0
    if wait > 0 then
        refuse(now, "tokens", wait)
        return false
    end
    if requests then requests.take(now, 1) end
    if tokens then tokens.take(now, charge) end
    return true
end

local function latency(number)
    local slow = fraction(number, 2) < settings.slow_share
    return settings.latency * (slow and settings.slow_factor or 1)
end

function provider.answer()
    ngx.req.read_body()
    ngx.header["content-type"] = "application/json"
    local body = ngx.req.get_body_data() or ""
    -- The question runs from its item's name to "end."; shape and escapes of the
    -- body around it are the client's business.
    local question = body:match("item%-%d+.- end%.") or ""
    local name = question:match("item%-%d+") or "item-0"
    local number = tonumber(name:sub(6))
    local asked = math.ceil(#question / 4)
    local most = tonumber(body:match('"max_[a-z_]*tokens": ?(%d+)')) or 0
    local said = math.ceil(most * (0.05 + 0.9 * fraction(number, 1) ^ 3))
    local by_usage = settings.charges == "usage"
    local charge = by_usage and asked or math.max(most, asked)
    ngx.var.item = name
    if not admitted(ngx.now(), charge) then
        return
    end
    ngx.var.charged = by_usage and asked + said or charge
    ngx.sleep(latency(number))
    local now = ngx.now()
    if tokens and by_usage then
        tokens.take(now, said)
    end
    show_limits(now)
    ngx.header["x-request-id"] = "req_" .. name
    ngx.header["openai-processing-ms"] = math.floor(latency(number) * 1000)
    local usage = string.format(USAGE, asked, said, asked + said)
    ngx.print(OPENING, name, " ", TEXT, MIDDLE, usage)
end

return provider
