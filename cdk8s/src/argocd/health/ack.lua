local terminal = condition("ACK.Terminal")
if is(terminal, "True") then
  return say("Degraded", terminal.message or "AWS refuses it")
end
local synced = condition("ACK.ResourceSynced")
if is(synced, "True") then
  return say("Healthy", "AWS has it as it is declared")
end
-- A throttled call or a reference that is not there yet: its controller tries again.
local recoverable = condition("ACK.Recoverable")
if is(recoverable, "True") then
  return say("Progressing", recoverable.message or "its controller tries again")
end
local references = condition("ACK.ReferencesResolved")
if is(references, "False") then
  return say("Progressing", references.message or "it waits for what it refers to")
end
return say("Progressing", synced and synced.message or "its controller has not said yet that AWS has it")
