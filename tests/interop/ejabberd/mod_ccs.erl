%% Answers downstream messages as CCS does. What a token does is decided by its beginning: bad- is refused, silent- gets
%% no answer, echo- is accepted and says the same to another session of the sender. What happens is written to
%% stdout as JSON lines.
-module(mod_ccs).
-behaviour(gen_mod).

-export([start/2, stop/1, depends/2, mod_options/1, mod_doc/0]).
-export([started/0, sent/1, bound/3, decided/3]).

-define(NAMESPACE, <<"google:mobile:data">>).

start(Host, _Options) ->
    ejabberd_hooks:add(ejabberd_started, ?MODULE, started, 90),
    ejabberd_hooks:add(user_send_packet, Host, ?MODULE, sent, 10),
    ejabberd_hooks:add(sm_register_connection_hook, Host, ?MODULE, bound, 10),
    ejabberd_hooks:add(c2s_auth_result, Host, ?MODULE, decided, 10),
    ok.

stop(Host) ->
    ejabberd_hooks:delete(ejabberd_started, ?MODULE, started, 90),
    ejabberd_hooks:delete(user_send_packet, Host, ?MODULE, sent, 10),
    ejabberd_hooks:delete(sm_register_connection_hook, Host, ?MODULE, bound, 10),
    ejabberd_hooks:delete(c2s_auth_result, Host, ?MODULE, decided, 10),
    ok.

depends(_Host, _Options) -> [].

mod_options(_Host) -> [].

mod_doc() -> #{}.

%% Users can be registered from here on.
started() ->
    [Host] = ejabberd_option:hosts(),
    case ejabberd_auth:try_register(environment("CCS_SENDER"), Host, environment("CCS_KEY")) of
        ok -> ok;
        %% Started again.
        {error, exists} -> ok
    end,
    say(started, #{}).

bound(_Id, Jid, _Info) ->
    {User, _, _} = jid:tolower(Jid),
    say(login, #{sender => User}).

decided(State, true, _User) ->
    State;
decided(State, {false, _Reason}, _User) ->
    say(refused, #{}),
    State.

sent({Packet, State}) ->
    Element = xmpp:encode(Packet),
    case fxml:get_subtag(Element, <<"ping">>) of
        false -> ok;
        _ -> say(ping, #{})
    end,
    case fxml:get_subtag_with_xmlns(Element, <<"gcm">>, ?NAMESPACE) of
        false ->
            {Packet, State};
        Gcm ->
            Body = jiffy:decode(fxml:get_tag_cdata(Gcm), [return_maps]),
            received(maps:get(jid, State), Body),
            {stop, {drop, State}}
    end.

received(_Jid, #{<<"message_type">> := <<"ack">>, <<"message_id">> := Id, <<"to">> := From}) ->
    say(upstream_acked, #{message_id => Id, from => From});
received(Jid, #{<<"message_id">> := Id, <<"to">> := To} = Body) ->
    say(downstream, maps:with([<<"message_id">>, <<"to">>, <<"data">>], Body)),
    case To of
        <<"bad-", _/binary>> ->
            push(Jid, #{message_type => nack, from => To, message_id => Id,
                        error => <<"BAD_REGISTRATION">>, error_description => <<>>});
        <<"silent-", _/binary>> ->
            ok;
        <<"echo-", _/binary>> ->
            push(Jid, #{message_type => ack, from => To, message_id => Id}),
            upstream(Jid, Body);
        _ ->
            push(Jid, #{message_type => ack, from => To, message_id => Id})
    end.

upstream(Jid, #{<<"message_id">> := Id, <<"to">> := From, <<"data">> := Data}) ->
    {User, Host, Own} = jid:tolower(Jid),
    [Other | _] = ejabberd_sm:get_user_resources(User, Host) -- [Own],
    UpId = <<"up-", Id/binary>>,
    push(jid:make(User, Host, Other),
         #{data => Data, time_to_live => 60, from => From, message_id => UpId,
           category => <<"com.example.app">>}),
    say(upstream_sent, #{message_id => UpId}).

push(Jid, Body) ->
    Gcm = {xmlel, <<"gcm">>, [{<<"xmlns">>, ?NAMESPACE}], [{xmlcdata, json(Body)}]},
    Message = xmpp:decode({xmlel, <<"message">>, [], [Gcm]}, <<"jabber:client">>, [ignore_els]),
    {_, Host, _} = jid:tolower(Jid),
    From = jid:make(<<"devices">>, Host),
    ejabberd_router:route(xmpp:set_from_to(Message, From, Jid)).

say(Event, Members) ->
    %% ASCII, whatever the encoding of stdout is.
    io:put_chars(user, [jiffy:encode(Members#{event => Event}, [uescape]), $\n]).

json(Term) -> iolist_to_binary(jiffy:encode(Term)).

environment(Name) -> list_to_binary(os:getenv(Name)).
