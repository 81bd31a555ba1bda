-- Answers downstream messages as CCS does. What a token does is decided by its beginning: bad- is refused, silent- gets
-- no answer, echo- is accepted and says the same to another session of the sender. What happens is written to stdout as
-- JSON lines.

local json = require "util.json";
local stanza = require "util.stanza";
local usermanager = require "core.usermanager";

local NAMESPACE = "google:mobile:data";

local function say(event, members)
	members.event = event;
	io.stdout:write(json.encode(members), "\n");
	io.stdout:flush();
end

assert(usermanager.create_user(os.getenv("CCS_SENDER"), os.getenv("CCS_KEY"), module.host));

local function push(session, attributes, body)
	local message = stanza.message(attributes)
		:tag("data:gcm", { ["xmlns:data"] = NAMESPACE }):text(json.encode(body));
	session.send(message);
end

local function answer(session, body)
	push(session, {}, body);
end

local function upstream(session, request)
	local attributes = {
		to = session.username .. "@" .. session.host, from = "devices@" .. session.host, type = "normal",
	};
	local body = {
		data = request.data, time_to_live = 60, from = request.to,
		message_id = "up-" .. request.message_id, category = "com.example.app",
	};
	local of_sender = prosody.hosts[module.host].sessions[session.username].sessions;
	for _, other in pairs(of_sender) do
		if other ~= session then
			push(other, attributes, body);
			say("upstream_sent", { message_id = body.message_id });
			return;
		end
	end
end

module:hook("pre-message/bare", function (event)
	local session = event.origin;
	local gcm = event.stanza:get_child("gcm", NAMESPACE);
	local body = gcm and json.decode(gcm:get_text());
	if not body then
		return;
	end
	if body.message_type == "ack" then
		say("upstream_acked", { message_id = body.message_id, from = body.to });
		return true;
	end
	say("downstream", { message_id = body.message_id, to = body.to, data = body.data });
	if body.to:match("^bad%-") then
		answer(session, {
			message_type = "nack", from = body.to, message_id = body.message_id,
			error = "BAD_REGISTRATION", error_description = "",
		});
	elseif not body.to:match("^silent%-") then
		answer(session, { message_type = "ack", from = body.to, message_id = body.message_id });
		if body.to:match("^echo%-") then
			upstream(session, body);
		end
	end
	return true;
end, 10);

module:hook("pre-iq/bare", function (event)
	if event.stanza:get_child("ping", "urn:xmpp:ping") then
		say("ping", {});
	end
end, 10);

module:hook("resource-bind", function (event)
	say("login", { sender = event.session.username });
end);

module:hook("authentication-failure", function ()
	say("refused", {});
end);

module:hook_global("server-started", function ()
	say("started", {});
end);
