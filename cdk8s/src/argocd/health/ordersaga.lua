if unobserved() then
  return say("Progressing", "the operator has not seen this generation yet")
end
local ready = condition("Ready")
if ready == nil then
  return say("Progressing", "the operator has not judged it yet")
end
if not is(ready, "True") then
  -- Another object has to come or change first, and may come with a later wave; this one needs no change.
  if ready.reason == "ParticipantNotFound" or ready.reason == "CommandUnknown" then
    return say("Progressing", why(ready))
  end
  return say("Degraded", why(ready))
end
local paused = condition("Paused")
if is(paused, "True") then
  return say("Suspended", paused.message)
end
return say("Healthy", status.nextAction or ready.message)
