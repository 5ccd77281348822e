-- Health of a child Application, as the Application above it needs it: whether what Git says now is there and works. Argo CD's
-- own status.health still speaks of the last revision for a moment after a change, and waves would run past it.
local source = (obj.spec or {}).source or {}
local sync = status.sync or {}
local compared = (sync.comparedTo or {}).source or {}
local operation = status.operationState or {}

local function problem(kind)
  for _, each in ipairs(status.conditions or {}) do
    if each.type == kind then
      return each.message or kind
    end
  end
  return nil
end

local invalid = problem("InvalidSpecError")
if invalid ~= nil then
  return say("Degraded", invalid)
end
if source.targetRevision ~= compared.targetRevision or source.repoURL ~= compared.repoURL or source.path ~= compared.path then
  return say("Progressing", "this revision is not compared with the cluster yet")
end
local broken = problem("ComparisonError")
if broken ~= nil then
  return say("Degraded", broken)
end
if obj.operation ~= nil or operation.phase == "Running" or operation.phase == "Terminating" then
  return say("Progressing", operation.message or "a sync is running")
end
if sync.status ~= "Synced" then
  local asked = ((operation.operation or {}).sync or {}).revision
  local attempted = asked == sync.revision or (operation.syncResult or {}).revision == sync.revision
  if attempted and (operation.phase == "Failed" or operation.phase == "Error") then
    return say("Degraded", operation.message or "its sync failed")
  end
  return say("Progressing", "out of sync: it is about to be synced")
end
local health = status.health or {}
-- What is paused on purpose must not hold up the rest: Argo CD waits for Healthy, and for nothing else.
if health.status == "Suspended" then
  return say("Healthy", "something in it is paused")
end
if health.status == "Healthy" or health.status == "Degraded" then
  return say(health.status, health.message)
end
return say("Progressing", health.message or "it is not healthy yet")
