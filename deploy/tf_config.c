/* tf_config.c - see tf_config.h. */
#include "deploy/tf_config.h"

#include <netinet/in.h>
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

static void append_job(text_buffer *text, const char *separator, const local_cluster *cluster, int job)
{
    append(text, "%s\"%s\": [", separator, cluster_role_name((cluster_role)job));
    for (size_t i = 0; i < cluster->counts[job]; i++) {
        uint32_t host = cluster->hosts[job] ? cluster->hosts[job][i] : INADDR_LOOPBACK;
        append(text, "%s\"%u.%u.%u.%u:%u\"", i > 0 ? ", " : "", host >> 24, host >> 16 & 255, host >> 8 & 255,
               host & 255, (unsigned)cluster->ports[job][i]);
    }
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
        append_job(&out, separator, cluster, job);
        separator = ", ";
    }
    append(&out, "}, \"task\": {\"type\": \"%s\", \"index\": %zu}}", cluster_role_name(role), index);
    if (out.used >= bytes)
        return ps_fail(error, PS_ELIMIT, "TF_CONFIG of %zu bytes exceeds %zu", out.used, bytes);
    return PS_OK;
}
