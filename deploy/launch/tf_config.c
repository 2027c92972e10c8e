/* tf_config.c - see tf_config.h. */
#include "deploy/launch/tf_config.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/address.h"

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
        char where[ADDRESS_TEXT_MAX + 16];
        const uint32_t host = cluster->hosts[job] ? cluster->hosts[job][i] : INADDR_LOOPBACK;
        char number[INET_ADDRSTRLEN];
        snprintf(number, sizeof number, "%u.%u.%u.%u", host >> 24, host >> 16 & 255, host >> 8 & 255,
                 host & 255);
        address_format(cluster->names[job] ? cluster->names[job][i] : number, cluster->ports[job][i], where,
                       sizeof where);
        append(text, "%s\"%s\"", i > 0 ? ", " : "", where);
    }
    append(text, "]");
}

static void append_cluster(text_buffer *text, const local_cluster *cluster)
{
    const char *separator = "";
    append(text, "{");
    for (int job = 0; job < TF_CONFIG_ROLES; job++) {
        if (cluster->counts[job] == 0)
            continue;
        append_job(text, separator, cluster, job);
        separator = ", ";
    }
    append(text, "}");
}

static ps_status check_room(const text_buffer *text, ps_error *error)
{
    if (text->used >= text->bytes)
        return ps_fail(error, PS_ELIMIT, "TF_CONFIG of %zu bytes exceeds %zu", text->used, text->bytes);
    return PS_OK;
}

ps_status tf_config_write(const local_cluster *cluster, cluster_role role, size_t index, char *text,
                          size_t bytes, ps_error *error)
{
    text_buffer out = {.data = text, .bytes = bytes};
    append(&out, "{\"cluster\": ");
    append_cluster(&out, cluster);
    append(&out, ", \"task\": {\"type\": \"%s\", \"index\": %zu}}", cluster_role_name(role), index);
    return check_room(&out, error);
}

ps_status tf_config_write_cluster(const local_cluster *cluster, char *text, size_t bytes, ps_error *error)
{
    text_buffer out = {.data = text, .bytes = bytes};
    append_cluster(&out, cluster);
    return check_room(&out, error);
}
