/* http_options.c - see http_options.h. */
#include "common/http_options.h"

#include "common/options.h"

/* Above every character: these options have no short form. */
enum { KEY_PORT = 256, KEY_ADDRESS, KEY_PORT_FILE, KEY_HOST, KEY_TOKEN_FILE, KEY_OPEN };

static const struct argp_option option_table[] = {
    {"http-port", KEY_PORT, "N", 0,
     "Show over HTTP how it goes: /livez, /readyz, /metrics, /status, and a ps a page for browsers; 0: on "
     "any free port (off)",
     0},
    {"http-address", KEY_ADDRESS, "ADDRESS", 0, "Where HTTP listens, a numeric address (127.0.0.1)", 0},
    {"http-port-file", KEY_PORT_FILE, "FILE", 0, "Write the address and port of HTTP to FILE", 0},
    {"http-host", KEY_HOST, "NAME", 0,
     "A name by which HTTP may be asked, beside localhost and addresses; may be repeated (on loopback none, "
     "else any)",
     0},
    {"http-token-file", KEY_TOKEN_FILE, "FILE", 0,
     "A file of one line, for its owner alone, which HTTP asks for (Authorization: Bearer ...), but not "
     "probes "
     "of /livez and /readyz (the environment's " HTTP_TOKEN_VARIABLE ", or none)",
     0},
    {"http-open", KEY_OPEN, 0, 0,
     "Without a token, let other hosts too see more than /livez and /readyz, where they can reach HTTP", 0},
    {0},
};

/* What was said of it says that HTTP is wanted; the environment does not. */
static void settle(http_options *o, struct argp_state *state)
{
    ps_error error;
    const char *lone = o->address       ? "address"
                       : o->port_file   ? "port-file"
                       : o->hosts.count ? "host"
                       : o->token_file  ? "token-file"
                       : o->is_open     ? "open"
                                        : NULL;
    if (!o->wanted && lone)
        argp_error(state, "--http-%s needs --http-port", lone);
    if (o->wanted && http_token_find(o->token_file, "--http-token-file", &o->token, &error) != PS_OK)
        argp_error(state, "%s", error.text);
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    http_options *options = state->input;
    uint64_t number = 0;
    ps_error error;
    switch (key) {
    case KEY_PORT:
        if (option_unsigned("http-port", value, 0, UINT16_MAX, &number, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        options->port = (uint16_t)number;
        options->wanted = true;
        return 0;
    case KEY_ADDRESS:
        options->address = value;
        return 0;
    case KEY_PORT_FILE:
        options->port_file = value;
        return 0;
    case KEY_HOST:
        if (http_hosts_add(&options->hosts, value, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        return 0;
    case ARGP_KEY_END:
        settle(options, state);
        return 0;
    case KEY_TOKEN_FILE:
        options->token_file = value;
        return 0;
    case KEY_OPEN:
        options->is_open = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp http_options_argp = {.options = option_table, .parser = parse_option};

http_config http_options_config(const http_options *options)
{
    return (http_config){
        .address = options->address,
        .port = options->port,
        .port_file = options->port_file,
        .hosts = &options->hosts,
        .token = &options->token,
        .is_open = options->is_open,
    };
}
