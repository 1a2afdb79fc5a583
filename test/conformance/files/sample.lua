core.register_action("act", { "tcp-req", "tcp-res", "http-req", "http-res" }, function(txn) end, 1)
core.register_service("svc", "tcp", function(applet) end)
local filter = { id = "act" }
filter.__index = filter
function filter:new() return setmetatable({}, filter) end
core.register_filter("act", filter, function(f, args) return f end)
-- Since 2.8.
pcall(core.register_action, "act", { "http-after-res" }, function(txn) end, 1)
