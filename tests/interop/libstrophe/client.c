/* An app server on libstrophe. Commands and events are those of ../clients.py. */

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>
#include <strophe.h>

#define GCM "google:mobile:data"
#define CONNECTIONS 8

struct connection {
    xmpp_conn_t *xmpp;
    int number;
    char *held_id;
    char *held_from;
};

static xmpp_ctx_t *context;
static struct connection connections[CONNECTIONS];
static int made = 0;
static bool holding = false;
static bool ending = false;

/* Prints an event, with those of its members that are there; they are the printer's afterwards. */
static void say(const char *event, struct json_object *members)
{
    if (members == NULL)
        members = json_object_new_object();
    json_object_object_add(members, "event", json_object_new_string(event));
    puts(json_object_to_json_string_ext(members, JSON_C_TO_STRING_PLAIN));
    fflush(stdout);
    json_object_put(members);
}

static struct json_object *of(const struct connection *self)
{
    struct json_object *members = json_object_new_object();
    json_object_object_add(members, "connection", json_object_new_int(self->number));
    return members;
}

static void push(struct connection *self, struct json_object *body)
{
    xmpp_stanza_t *message = xmpp_message_new(context, NULL, NULL, "");
    xmpp_stanza_t *gcm = xmpp_stanza_new(context);
    xmpp_stanza_t *text = xmpp_stanza_new(context);

    xmpp_stanza_set_name(gcm, "gcm");
    xmpp_stanza_set_ns(gcm, GCM);
    xmpp_stanza_set_text(text, json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN));
    xmpp_stanza_add_child(gcm, text);
    xmpp_stanza_add_child(message, gcm);
    xmpp_send(self->xmpp, message);
    xmpp_stanza_release(text);
    xmpp_stanza_release(gcm);
    xmpp_stanza_release(message);
}

static void acknowledge(struct connection *self)
{
    struct json_object *body = json_object_new_object();
    json_object_object_add(body, "to", json_object_new_string(self->held_from));
    json_object_object_add(body, "message_id", json_object_new_string(self->held_id));
    json_object_object_add(body, "message_type", json_object_new_string("ack"));
    push(self, body);
    json_object_put(body);
}

static const char *string_of(struct json_object *body, const char *name)
{
    struct json_object *value;
    return json_object_object_get_ex(body, name, &value) ? json_object_get_string(value) : NULL;
}

static void hold(struct connection *self, struct json_object *body)
{
    free(self->held_id);
    free(self->held_from);
    self->held_id = strdup(string_of(body, "message_id"));
    self->held_from = strdup(string_of(body, "from"));
    if (!holding)
        acknowledge(self);
}

static int received(xmpp_conn_t *xmpp, xmpp_stanza_t *stanza, void *userdata)
{
    static const char *const shown[] = {"message_id", "from", "data", "error"};
    struct connection *self = userdata;
    const char *type = xmpp_stanza_get_type(stanza);
    xmpp_stanza_t *gcm = xmpp_stanza_get_child_by_ns(stanza, GCM);
    char *text = gcm ? xmpp_stanza_get_text(gcm) : NULL;
    struct json_object *body = text ? json_tokener_parse(text) : NULL;
    struct json_object *members = of(self);
    const char *kind;

    (void)xmpp;
    for (size_t i = 0; body && i < sizeof shown / sizeof *shown; i++) {
        struct json_object *value;
        if (json_object_object_get_ex(body, shown[i], &value))
            json_object_object_add(members, shown[i], json_object_get(value));
    }
    kind = body ? string_of(body, "message_type") : NULL;
    if (type && strcmp(type, "error") == 0) {
        say("error", members);
    } else if (kind && strcmp(kind, "control") == 0) {
        say("draining", members);
    } else if (kind && strcmp(kind, "receipt") != 0) {
        say(kind, members);
    } else {
        say(kind ? kind : "upstream", members);
        hold(self, body);
    }
    json_object_put(body);
    xmpp_free(context, text);
    return 1;
}

static int pong(xmpp_conn_t *xmpp, xmpp_stanza_t *stanza, void *userdata)
{
    (void)xmpp;
    (void)userdata;
    if (strcmp(xmpp_stanza_get_type(stanza), "result") == 0)
        say("pong", NULL);
    return 0;
}

static void ping(struct connection *self)
{
    xmpp_stanza_t *iq = xmpp_iq_new(context, "get", "ping-1");
    xmpp_stanza_t *child = xmpp_stanza_new(context);

    xmpp_stanza_set_name(child, "ping");
    xmpp_stanza_set_ns(child, "urn:xmpp:ping");
    xmpp_stanza_add_child(iq, child);
    xmpp_id_handler_add(self->xmpp, pong, "ping-1", NULL);
    xmpp_send(self->xmpp, iq);
    xmpp_stanza_release(child);
    xmpp_stanza_release(iq);
}

static void changed(xmpp_conn_t *xmpp, xmpp_conn_event_t event, int error,
                    xmpp_stream_error_t *stream_error, void *userdata)
{
    struct connection *self = userdata;

    (void)error;
    (void)stream_error;
    if (event == XMPP_CONN_CONNECT) {
        xmpp_handler_add(xmpp, received, NULL, "message", NULL, self);
        say("online", of(self));
    } else if (xmpp_conn_get_bound_jid(xmpp) == NULL) {
        /* The library says no more of a login that failed than that the connection is over. */
        say("refused", NULL);
    } else {
        say("offline", of(self));
    }
}

static void dial(void)
{
    struct connection *self = &connections[made++];
    char jid[128];

    self->number = made;
    self->xmpp = xmpp_conn_new(context);
    snprintf(jid, sizeof jid, "%s@gcm.googleapis.com", getenv("CCS_SENDER"));
    xmpp_conn_set_jid(self->xmpp, jid);
    xmpp_conn_set_pass(self->xmpp, getenv("CCS_KEY"));
    /* What an app server changes: TLS from the first byte, the CA, host and port. */
    xmpp_conn_set_flags(self->xmpp, XMPP_CONN_FLAG_LEGACY_SSL);
    xmpp_conn_set_cafile(self->xmpp, getenv("CCS_CA"));
    xmpp_connect_client(self->xmpp, getenv("CCS_HOST"), (unsigned short)atoi(getenv("CCS_PORT")),
                        changed, self);
}

static void obey(const char *line)
{
    struct json_object *command = json_tokener_parse(line);
    struct json_object *number;
    struct connection *chosen = made ? &connections[made - 1] : NULL;
    const char *op = string_of(command, "op");

    if (json_object_object_get_ex(command, "connection", &number))
        chosen = &connections[json_object_get_int(number) - 1];
    if (strcmp(op, "connect") == 0) {
        dial();
    } else if (strcmp(op, "send") == 0) {
        json_object_object_del(command, "op");
        json_object_object_del(command, "connection");
        push(chosen, command);
    } else if (strcmp(op, "hold") == 0) {
        holding = true;
        say("holding", NULL);
    } else if (strcmp(op, "ack") == 0) {
        holding = false;
        acknowledge(chosen);
    } else if (strcmp(op, "ping") == 0) {
        ping(chosen);
    } else if (strcmp(op, "close") == 0) {
        xmpp_disconnect(chosen->xmpp);
    }
    json_object_put(command);
}

/* Obeys the whole lines that stdin has by now. */
static void listen_to_stdin(void)
{
    static char buffer[1 << 16];
    static size_t length = 0;
    ssize_t count = read(STDIN_FILENO, buffer + length, sizeof buffer - length - 1);
    char *end;

    if (count == 0)
        ending = true;
    if (count <= 0)
        return;
    length += (size_t)count;
    buffer[length] = '\0';
    while ((end = strchr(buffer, '\n')) != NULL) {
        *end = '\0';
        obey(buffer);
        length -= (size_t)(end + 1 - buffer);
        memmove(buffer, end + 1, length + 1);
    }
}

int main(void)
{
    /* The library writes its end of the stream to a socket that may be closed by then; that would end the process. */
    signal(SIGPIPE, SIG_IGN);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    xmpp_initialize();
    context = xmpp_ctx_new(NULL, xmpp_get_default_logger(XMPP_LEVEL_INFO));
    while (!ending) {
        listen_to_stdin();
        /* Waits for the network for at most so many milliseconds. */
        xmpp_run_once(context, 20);
    }
    return 0;
}
