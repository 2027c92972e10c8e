/* tf_config.c - see tf_config.h. */
#include "deploy/tf_config.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct {
    char *data;
    size_t bytes;
    size_t used; /* keeps counting when the room is out */
} text_buffer;

static void append(text_buffer *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(text_buffer *text, const char *format, ...)
{
    bool room = text->used < text->bytes;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(room ? text->data + text->used : NULL, room ? text->bytes - text->used : 0, format,
                           arguments);
    va_end(arguments);
    text->used += length > 0 ? (size_t)length : 0;
}

static void append_job(text_buffer *text, const char *separator, const char *name, const uint16_t *ports,
                       size_t count)
{
    append(text, "%s\"%s\": [", separator, name);
    for (size_t i = 0; i < count; i++)
        append(text, "%s\"127.0.0.1:%u\"", i > 0 ? ", " : "", (unsigned)ports[i]);
    append(text, "]");
}

ps_status tf_config_write(const local_cluster *cluster, cluster_role role, size_t index, char *text,
                          size_t bytes, ps_error *error)
{
    text_buffer out = {.data = text, .bytes = bytes};
    const char *separator = "";
    append(&out, "{\"cluster\": {");
    for (int job = 0; job < TF_CONFIG_ROLES; job++) {
        if (cluster->counts[job] == 0)
            continue;
        append_job(&out, separator, cluster_role_name((cluster_role)job), cluster->ports[job],
                   cluster->counts[job]);
        separator = ", ";
    }
    append(&out, "}, \"task\": {\"type\": \"%s\", \"index\": %zu}}", cluster_role_name(role), index);
    if (out.used >= bytes)
        return ps_fail(error, PS_ELIMIT, "TF_CONFIG of %zu bytes exceeds %zu", out.used, bytes);
    return PS_OK;
}
