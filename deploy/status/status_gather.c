/* status_gather.c - see status_gather.h. */
#include "deploy/status/status_gather.h"

#include <stdlib.h>
#include <string.h>

#include "deploy/growing.h"
#include "deploy/status/http_fetch.h"

enum { SCHEMA = 1 };

static bool is_known(const status_pages *all, const char *address)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->pages[i].address, address) == 0)
            return true;
    return false;
}

static ps_status add(status_pages *all, const char *address, ps_error *error)
{
    if (is_known(all, address) || all->count == STATUS_PAGES_MAX)
        return PS_OK;
    status_page_of *more = growing_room(all->pages, all->count, sizeof *more);
    if (!more)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    all->pages = more;
    more[all->count] = (status_page_of){.address = strdup(address)};
    if (!more[all->count].address)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    all->count++;
    return PS_OK;
}

bool status_page_is_of_ps(const json *page)
{
    const char *kind = "";
    ps_error ignored;
    return json_as_string(json_find(page, "kind"), "kind", &kind, &ignored) == PS_OK &&
           strcmp(kind, "ps") == 0;
}

static ps_status judge(const status_page_of *p, ps_error *error)
{
    int64_t schema;
    ps_status status =
        json_as_integer(json_find(p->page, "schema"), "schema", 0, JSON_INTEGER_MAX, &schema, error);
    if (status != PS_OK)
        return ps_fail(error, PS_EFORMAT, "%s: what answers is no daemon of Penstock", p->address);
    if (schema != SCHEMA)
        return ps_fail(error, PS_EFORMAT, "%s: its status is of schema %lld; this program reads %d",
                       p->address, (long long)schema, SCHEMA);
    return PS_OK;
}

static void fetch(status_page_of *p, const char *token)
{
    const json_options options = {.source = p->address, .max_bytes = HTTP_FETCH_MAX};
    ps_status status =
        http_fetch(p->address, "/status", token, STATUS_TIMEOUT_MS, &p->text, &p->bytes, &p->error);
    if (status == PS_OK)
        status = json_parse(p->text, p->bytes, &options, &p->page, NULL, &p->error);
    if (status == PS_OK)
        status = judge(p, &p->error);
    if (status == PS_OK)
        return;
    json_free(&p->page);
    free(p->text);
    p->text = NULL;
}

/* The ps that this one names. */
static ps_status add_servers(status_pages *all, const json *page, ps_error *error)
{
    const json *servers = json_find(page, "servers");
    ps_status status = PS_OK;
    if (!servers || json_type_of(servers) != JSON_LIST)
        return PS_OK;
    for (const json *s = json_first(servers); s && status == PS_OK; s = json_next(s)) {
        const json *http = json_type_of(s) == JSON_OBJECT ? json_find(s, "http") : NULL;
        const char *address = NULL;
        if (http && json_type_of(http) == JSON_STRING &&
            json_as_string(http, "http", &address, error) == PS_OK)
            status = add(all, address, error);
    }
    return status;
}

ps_status status_pages_gather(status_pages *all, const char *const *addresses, size_t count,
                              const char *token, ps_error *error)
{
    status_pages_fini(all);
    ps_status status = PS_OK;
    bool some = false;
    for (size_t i = 0; i < count && status == PS_OK; i++)
        status = add(all, addresses[i], error);
    const size_t named = all->count;
    for (size_t i = 0; i < all->count && status == PS_OK; i++) { /* the list grows */
        fetch(&all->pages[i], i < named ? token : NULL);
        if (!all->pages[i].page)
            continue;
        some = true;
        status = add_servers(all, all->pages[i].page, error);
    }
    if (status != PS_OK || some)
        return status;
    *error = all->pages[0].error;
    return error->status;
}

void status_pages_fini(status_pages *all)
{
    for (size_t i = 0; i < all->count; i++) {
        json_free(&all->pages[i].page);
        free(all->pages[i].text);
        free(all->pages[i].address);
    }
    free(all->pages);
    *all = (status_pages){0};
}
