local accepted = condition("Accepted")
if is(accepted, "False") then
  return say("Progressing", why(accepted))
end
if unobserved() then
  return say("Progressing", "the operator has not seen this generation yet")
end
local phase = status.phase
if phase == "Held" then
  local held = condition("Held")
  return say("Suspended", "waits for a decision: " .. (held and why(held) or (status.holdReason or "")))
end
if phase == "Aborted" then
  return say("Degraded", "it was ended where it was: see its exception records")
end
-- Undone on purpose: the saga did what it is for.
if phase == "Succeeded" or phase == "Compensated" then
  local succeeded = condition("Succeeded")
  return say("Healthy", succeeded and succeeded.message or phase)
end
local paused = condition("Paused")
if is(paused, "True") then
  return say("Suspended", paused.message)
end
return say("Progressing", status.nextAction or phase)
