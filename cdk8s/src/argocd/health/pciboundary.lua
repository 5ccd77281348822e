if unobserved() then
  return say("Progressing", "the controller has not seen this generation yet")
end
local accepted = condition("Accepted")
if is(accepted, "False") then
  return say("Degraded", why(accepted))
end
-- A network that enforced nothing a minute ago enforces nothing now, whatever was changed in spec; probes take their time.
if is(newest("Enforced"), "False") then
  return say("Degraded", why(newest("Enforced")))
end
local compliant = condition("Compliant")
if is(compliant, "False") then
  return say("Degraded", why(compliant))
end
if not is(accepted, "True") or not is(compliant, "True") then
  return say("Progressing", "the controller has not judged this generation yet")
end
-- Without probes, or before their first round, nothing is known to be wrong.
local enforced = condition("Enforced")
if not is(enforced, "True") then
  return say("Healthy", "not proven: " .. (enforced and why(enforced) or "no probes have ended since the last change"))
end
return say("Healthy", enforced.message)
