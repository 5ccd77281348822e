if unobserved() then
  return say("Progressing", "the operator has not seen this generation yet")
end
local phase = status.phase
if phase == "Received" or phase == "Rejected" or phase == "Cancelled" then
  local received = condition("Received")
  return say("Healthy", received and why(received) or phase)
end
-- What it waits for is outside: a person, a supplier, an inventory that does not answer now. It goes on by itself when that has come.
local blocked = condition("Blocked")
if is(blocked, "True") then
  return say("Suspended", why(blocked))
end
if phase == "Approved" then
  return say("Progressing", status.nextAction or "it is being ordered")
end
return say("Suspended", status.nextAction or phase)
