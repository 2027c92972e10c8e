/* http_options.c - see http_options.h. */
#include "common/http_options.h"

#include "common/options.h"

/* Above every character: these options have no short form. */
enum { KEY_PORT = 256, KEY_ADDRESS, KEY_PORT_FILE };

static const struct argp_option option_table[] = {
    {"http-port", KEY_PORT, "N", 0,
     "Show over HTTP how it goes: /livez, /readyz, /metrics; 0: on any free port (off)", 0},
    {"http-address", KEY_ADDRESS, "ADDRESS", 0, "Where HTTP listens, a numeric address (127.0.0.1)", 0},
    {"http-port-file", KEY_PORT_FILE, "FILE", 0, "Write the address and port of HTTP to FILE", 0},
    {0},
};

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
    case ARGP_KEY_END:
        if (!options->wanted && (options->address || options->port_file))
            argp_error(state, "--http-%s needs --http-port", options->address ? "address" : "port-file");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp http_options_argp = {.options = option_table, .parser = parse_option};
