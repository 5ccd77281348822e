if unobserved() then
  return say("Progressing", "the operator has not seen this generation yet")
end
local ready = condition("Ready")
if ready == nil then
  return say("Progressing", "the operator has not looked at it yet")
end
-- An outage of inventory is not this object's: were it Degraded, it would stop the very sync that mends it.
if is(ready, "Unknown") then
  return say("Healthy", "its stock cannot be read now: " .. why(ready))
end
if is(ready, "False") then
  -- Its Participant may come with a later wave.
  if ready.reason == "ParticipantNotFound" then
    return say("Progressing", why(ready))
  end
  return say("Degraded", why(ready))
end
-- Low stock is the shop's business and has alerts of its own.
local low = condition("StockLow")
if is(low, "True") then
  return say("Healthy", why(low))
end
return say("Healthy", status.nextAction or ready.message)
