-- Argo CD opens Lua's base and table libraries only: no string, no math.

local function say(status, message)
  return {status = status, message = message}
end

local status = obj.status or {}
local generation = obj.metadata.generation

local function newest(kind)
  for _, each in ipairs(status.conditions or {}) do
    if each.type == kind then
      return each
    end
  end
  return nil
end

-- A condition that speaks of an older spec says nothing about this one.
local function condition(kind)
  local each = newest(kind)
  if each ~= nil and (each.observedGeneration == nil or each.observedGeneration == generation) then
    return each
  end
  return nil
end

local function is(each, wanted)
  return each ~= nil and each.status == wanted
end

local function why(each)
  return (each.reason or "") .. ": " .. (each.message or "")
end

local function unobserved()
  return status.observedGeneration ~= generation
end
