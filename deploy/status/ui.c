/* ui.c - `penstock ui`: shows in a browser what runs have left, and compares them. */
#include <argp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "common/dashboard.h"
#include "common/http.h"
#include "common/http_options.h"
#include "common/log.h"
#include "common/stop.h"
#include "deploy/commands.h"
#include "deploy/status/ui_runs.h"

enum { LOOK_MS = 200 /* between looks for a signal */ };

typedef struct {
    http_options http;
    const char *folder;
} ui_options;

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    ui_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->http;
        return 0;
    case ARGP_KEY_ARG:
        if (o->folder)
            argp_error(state, "one folder, not '%s' and '%s'", o->folder, argument);
        o->folder = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static unsigned answer_list(void *context, FILE *body)
{
    ui_runs_list(context, body);
    return 200;
}

/* The run that "/runs/NAME.json" asks for; false if it asks for none. */
static bool parse_path(const char *path, char name[UI_NAME_MAX])
{
    static const char before[] = "/runs/", after[] = ".json";
    const size_t length = strlen(path), around = sizeof before - 1 + sizeof after - 1;
    if (length <= around || length - around >= UI_NAME_MAX || strncmp(path, before, sizeof before - 1) != 0 ||
        strcmp(path + length - (sizeof after - 1), after) != 0)
        return false;
    memcpy(name, path + sizeof before - 1, length - around);
    name[length - around] = '\0';
    return true;
}

static void expect_no_body(void *context, http_request *r)
{
    (void)context;
    r->body_max = 0;
}

/* What is no page's. */
static void answer_request(void *context, http_request *r)
{
    char name[UI_NAME_MAX];
    http_answer answer = {.status = 404, .type = "application/json", .close = true};
    FILE *out = open_memstream(&answer.body, &answer.bytes);
    if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0) {
        answer.status = 405;
        answer.allow = "GET, HEAD";
    } else if (out && parse_path(r->path, name) && ui_runs_show(context, name, out)) {
        answer.status = 200;
    }
    if (!out || fclose(out) != 0)
        answer.status = 503;
    http_reply(r, &answer);
}

static const http_page pages[] = {
    {"/runs.json", "application/json", answer_list, false} DASHBOARD_RUNS_PAGES,
};

static const http_service service = {
    .connections_max = HTTP_CONNECTIONS_MAX,
    .patience_ms = HTTP_CONNECTION_MS,
    .memory_bytes = HTTP_MEMORY_BYTES,
    .bodies_max_bytes = HTTP_MEMORY_BYTES,
    .head = expect_no_body,
    .whole = answer_request,
};

int ui_main(int argc, char **argv)
{
    static const struct argp_child children[] = {{&http_options_argp, 0, "Where it is shown", 1}, {0}};
    static const struct argp parser = {
        .parser = parse_one,
        .children = children,
        .args_doc = "[FOLDER]",
        .doc = "Show in a browser what runs of `penstock run' have left, and compare them.\v"
               "FOLDER is that of one run, or one with the folders of runs (runs). A run that is still under "
               "way is "
               "shown as it was some seconds ago, with the address of its own page. The address to open is "
               "printed; "
               "without --http-port it is at any free port of this host. SIGINT or SIGTERM ends it.\n\n"
               "Exit code: 0 ended by a signal; 1 it cannot serve; 2 usage, or there is no such folder."};
    ui_options o = {.http = {.wanted = true}};
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    log_setup("ui", LOG_WARNING);
    ui_runs runs;
    ps_error error;
    http *server = NULL;
    const volatile sig_atomic_t *stop = stop_on_signals();
    ps_status status = ui_runs_open(&runs, o.folder ? o.folder : "runs", &error);
    if (status == PS_OK) {
        http_config config = http_options_config(&o.http);
        config.pages = pages;
        config.page_count = sizeof pages / sizeof pages[0];
        config.service = &service;
        config.policy = DASHBOARD_POLICY;
        config.context = &runs;
        status = http_start(&config, &server, &error);
    }
    if (status != PS_OK) {
        fprintf(stderr, "%s: %s\n", argv[0], error.text);
        return status == PS_ECONFIG ? PS_EXIT_USAGE : PS_EXIT_FAILURE;
    }
    char where[ADDRESS_TEXT_MAX + 8];
    address_format(o.http.address ? o.http.address : "127.0.0.1", http_port(server), where, sizeof where);
    printf("http://%s/\n", where);
    fflush(stdout);
    while (*stop == 0)
        poll(NULL, 0, LOOK_MS);
    http_stop(&server);
    return PS_EXIT_DONE;
}
