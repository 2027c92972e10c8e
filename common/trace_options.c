/* trace_options.c - see trace_options.h. */
#include "common/trace_options.h"

#include "common/options.h"

/* Above every character: these options have no short form. */
enum { KEY_FOLDER = 256, KEY_LIMIT };

static const struct argp_option option_table[] = {
    {"trace-dir", KEY_FOLDER, "DIR", 0,
     "Leave this process' part of a trace there, for `penstock trace merge' (none)", 0},
    {"trace-limit", KEY_LIMIT, "MIB", 0, "Size of that part, beyond which events are dropped (256)", 0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    trace_options *options = state->input;
    uint64_t number = 0;
    ps_error error;
    switch (key) {
    case KEY_FOLDER:
        if (option_name("trace-dir", value, &options->folder, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        return 0;
    case KEY_LIMIT:
        if (option_unsigned("trace-limit", value, 1, TRACE_LIMIT_MIB_MAX, &number, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        options->limit_bytes = number << 20;
        return 0;
    case ARGP_KEY_END:
        if (options->limit_bytes && !options->folder)
            argp_error(state, "--trace-limit needs --trace-dir");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp trace_options_argp = {.options = option_table, .parser = parse_option};
