/* log_options.c - see log_options.h. */
#include "common/log_options.h"

/* Above every character: these options have no short form. */
enum { KEY_LEVEL = 256, KEY_FORMAT };

static const struct argp_option option_table[] = {
    {"log-level", KEY_LEVEL, "LEVEL", 0, "debug, info (default), warning, error or off", 0},
    {"log-format", KEY_FORMAT, "FORMAT", 0, "text (default), or json: one object a line (common/log.h)", 0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    log_options *options = state->input;
    ps_error error = {PS_OK, ""};
    switch (key) {
    case ARGP_KEY_INIT:
        *options = (log_options){.level = LOG_INFO, .format = LOG_TEXT};
        return 0;
    case KEY_LEVEL:
        options->level_given = value;
        log_level_parse(value, &options->level, &error);
        break;
    case KEY_FORMAT:
        options->format_given = value;
        log_format_parse(value, &options->format, &error);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error.status != PS_OK)
        argp_error(state, "%s", error.text);
    return 0;
}

const struct argp log_options_argp = {.options = option_table, .parser = parse_option};
