/* status_gather.h - the status pages of a whole cluster (common/status_page.md), from any of its processes.
 *
 * Asked are the addresses that were given; of a ps or worker that answers, the ps it names too. */
#ifndef PENSTOCK_DEPLOY_STATUS_GATHER_H
#define PENSTOCK_DEPLOY_STATUS_GATHER_H

#include <stddef.h>

#include "common/json.h"

enum { STATUS_PAGES_MAX = 1024 + 256, STATUS_TIMEOUT_MS = 3000 };

typedef struct {
    char *address;
    char *text; /* NULL: it has not answered, */
    size_t bytes;
    ps_error error; /* ... and why */
    json *page;     /* parsed; NULL as `text` */
} status_page_of;

typedef struct {
    size_t count;
    status_page_of *pages; /* in the order in which they were found */
} status_pages;

/* Start from zeros. Fetches all pages anew. `token` (common/http_token.h; NULL: none) is brought to
 * `addresses` alone, not to those that a page names, where anybody may sit. PS_OK if at least one has
 * answered; else why the first has not. PS_ENOMEM. */
ps_status status_pages_gather(status_pages *all, const char *const *addresses, size_t count,
                              const char *token, ps_error *error);
void status_pages_fini(status_pages *all);

/* Is this the page of a ps? */
bool status_page_is_of_ps(const json *page);

#endif
