if unobserved() then
  return say("Progressing", "the operator has not seen this generation yet")
end
local applied = condition("Applied")
if is(applied, "True") then
  return say("Healthy", applied.message)
end
if status.phase == "Refused" then
  return say("Degraded", applied and why(applied) or "inventory refused it")
end
-- Its warehouse is not there yet, or inventory does not answer now: neither is mended by another adjustment.
if applied ~= nil then
  return say("Suspended", why(applied))
end
return say("Progressing", "it is not booked yet")
