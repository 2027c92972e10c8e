/* curve_options.c - see curve_options.h. */
#include "common/curve_options.h"

#include <stdlib.h>

/* Above every character: these options have no short form. */
enum { KEY_FOLDER = 256 };

static const struct argp_option option_table[] = {
    {"curve-keys", KEY_FOLDER, "FOLDER", 0,
     "Encrypt what travels and prove both ends, with keys from FOLDER, as penstock keygen makes it (the "
     "environment's " CURVE_KEYS_VARIABLE ", or none)",
     0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    curve_options *options = state->input;
    switch (key) {
    case KEY_FOLDER:
        options->folder = value;
        break;
    case ARGP_KEY_END:
        if (!options->folder)
            options->folder = getenv(CURVE_KEYS_VARIABLE);
        if (options->folder && options->folder[0] == '\0')
            argp_error(state, "--curve-keys (or " CURVE_KEYS_VARIABLE ") has an empty name");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

const struct argp curve_options_argp = {.options = option_table, .parser = parse_option};
