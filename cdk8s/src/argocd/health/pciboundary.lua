if unobserved() then
  return say("Progressing", "the controller has not seen this generation yet")
end
local accepted = condition("Accepted")
if is(accepted, "False") then
  return say("Degraded", why(accepted))
end
local enforced = condition("Enforced")
if is(enforced, "False") then
  return say("Degraded", why(enforced))
end
local compliant = condition("Compliant")
if is(compliant, "False") then
  return say("Degraded", why(compliant))
end
if not is(accepted, "True") or not is(compliant, "True") then
  return say("Progressing", "the controller has not judged this generation yet")
end
-- Without probes, or before their first round, nothing is known to be wrong.
if not is(enforced, "True") then
  return say("Healthy", "not proven: " .. (enforced and why(enforced) or "nothing was probed yet"))
end
return say("Healthy", enforced.message)
