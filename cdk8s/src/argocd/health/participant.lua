if unobserved() then
  return say("Progressing", "the operator has not seen this generation yet")
end
local resolved = condition("Resolved")
if is(resolved, "False") then
  return say("Degraded", why(resolved))
end
if not is(resolved, "True") then
  return say("Progressing", "its address is not known yet")
end
-- An outage is the service's, not this object's: were it Degraded, it would stop the very sync that mends it.
local available = condition("Available")
if is(available, "False") then
  return say("Healthy", "does not answer now: " .. why(available))
end
return say("Healthy", resolved.message)
