/* http_refusals.c - see http_refusals.h. */
#include "common/http_refusals.h"

#define HTTP_REFUSAL_NAME_OF(constant, name) [constant] = name,
static const char *const names[HTTP_REFUSAL_COUNT] = {HTTP_REFUSAL_LIST(HTTP_REFUSAL_NAME_OF)};
#undef HTTP_REFUSAL_NAME_OF

void http_refusals_add(http_refusals *r, http_refusal why)
{
    if (r)
        atomic_fetch_add_explicit(&r->count[why], 1, memory_order_relaxed);
}

static unsigned long long count_of(const http_refusals *r, int why)
{
    return atomic_load_explicit(&r->count[why], memory_order_relaxed);
}

void http_refusals_print(const http_refusals *r, const char *name, FILE *out)
{
    fprintf(out,
            "# HELP %s Requests over HTTP that were refused, and connections hung up on, by reason.\n"
            "# TYPE %s counter\n",
            name, name);
    for (int i = 0; i < HTTP_REFUSAL_COUNT; i++)
        fprintf(out, "%s{reason=\"%s\"} %llu\n", name, names[i], count_of(r, i));
}

void http_refusals_put(const http_refusals *r, const char *key, json_writer *w)
{
    json_open(w, key, '{');
    for (int i = 0; i < HTTP_REFUSAL_COUNT; i++)
        json_put_count(w, names[i], count_of(r, i));
    json_close(w, '}');
}
