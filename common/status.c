/* status.c - names, texts and formatting of errors. Decides nothing. */
#include "common/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/plain_text.h"

const char *ps_status_name(ps_status status)
{
    switch (status) {
#define PS_STATUS_NAME(name, value, text) \
    case name:                            \
        return #name;
        PS_STATUS_LIST(PS_STATUS_NAME)
#undef PS_STATUS_NAME
    }
    return "PS_?";
}

const char *ps_status_text(ps_status status)
{
    switch (status) {
#define PS_STATUS_TEXT(name, value, text) \
    case name:                            \
        return text;
        PS_STATUS_LIST(PS_STATUS_TEXT)
#undef PS_STATUS_TEXT
    }
    return "unknown status";
}

ps_status ps_fail(ps_error *error, ps_status status, const char *format, ...)
{
    if (!error)
        return status;
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    plain_text(error->text, strlen(error->text), "");
    return status;
}

int ps_status_exit_code(ps_status status)
{
    switch (status) {
    case PS_OK:
        return PS_EXIT_DONE;
    case PS_EINVAL:
    case PS_ECONFIG:
    case PS_EMISMATCH:
        return PS_EXIT_USAGE;
    case PS_EFORMAT:
    case PS_ENOENT:
    case PS_ENONFINITE:
        return PS_EXIT_DATA;
    case PS_EPEER:
    case PS_ETIMEDOUT:
    case PS_EREJOIN:
    case PS_EROLLBACK:
    case PS_ELOG:
    case PS_EDEVICE:
        return PS_EXIT_PEER_LOST;
    case PS_EINTERRUPTED:
        return PS_EXIT_TERMINATED;
    case PS_ELIMIT:
    case PS_ENOMEM:
    case PS_EIO:
    case PS_EPROTOCOL:
    case PS_ESTATE:
    case PS_EINTERNAL:
        break;
    }
    return PS_EXIT_FAILURE;
}
