-- What a provider's limit holds: a token bucket, and a strict sliding window.
-- Both are asked with a time in seconds and an amount, and say how long to wait.

local meters = {}

-- Refills at limit / 60 a second up to `burst`. Headers speak of the minute.
function meters.bucket(limit, burst)
    local rate, level, last = limit / 60, burst, nil
    local meter = {limit = limit}

    local function refill(now)
        level = math.min(burst, level + (now - (last or now)) * rate)
        last = now
    end

    function meter.wait(now, amount)
        refill(now)
        return level >= amount and 0 or (amount - level) / rate
    end

    function meter.take(now, amount)
        refill(now)
        level = level - amount
    end

    function meter.shown(now)
        refill(now)
        local used = burst - level
        return math.max(0, math.floor(limit - used)), used / rate
    end

    return meter
end

-- No 60 s ever hold more than `limit`.
function meters.window(limit)
    local seconds, taken, first, last, sum = 60, {}, 1, 0, 0
    local meter = {limit = limit}

    local function forget(now)
        while first <= last and taken[first][1] <= now - seconds do
            sum = sum - taken[first][2]
            taken[first] = nil
            first = first + 1
        end
    end

    function meter.wait(now, amount)
        forget(now)
        local over, at = sum + amount - limit, first
        if over <= 0 then
            return 0
        end
        while at < last and over > taken[at][2] do
            over = over - taken[at][2]
            at = at + 1
        end
        return taken[at] and taken[at][1] + seconds - now or seconds
    end

    function meter.take(now, amount)
        last = last + 1
        taken[last] = {now, amount}
        sum = sum + amount
    end

    -- Reset is the time until all of the limit is free again, as OpenAI has it.
    function meter.shown(now)
        forget(now)
        local full_again = first <= last and taken[last][1] + seconds - now or 0
        return math.max(0, limit - sum), full_again
    end

    return meter
end

return meters
