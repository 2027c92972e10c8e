/* worker_observer.c - see worker_observer.h. */
#include "worker/worker_observer.h"

#include "common/address.h"
#include "common/events.h"

static unsigned answer_live(void *context, FILE *body)
{
    const uint64_t age_ms = performance_age_ms(context);
    fprintf(body, "the last sign of life was %llu ms ago\n", (unsigned long long)age_ms);
    return age_ms <= WORKER_LIVE_MS ? 200 : 503;
}

static unsigned answer_ready(void *context, FILE *body)
{
    const bool ready = performance_has_joined(context);
    fputs(ready ? "joined\n" : "not all ps have welcomed this worker yet\n", body);
    return ready ? 200 : 503;
}

static unsigned answer_metrics(void *context, FILE *body)
{
    metrics_print(performance_metrics(context), body);
    http_refusals_print(performance_refusals(context), "penstock_worker_refused_http_requests_total", body);
    return 200;
}

static unsigned answer_status(void *context, FILE *body)
{
    performance_print(context, body);
    return 200;
}

static const http_page pages[] = {
    {"/livez", "text/plain; charset=utf-8", answer_live, true},
    {"/readyz", "text/plain; charset=utf-8", answer_ready, true},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", answer_metrics, false},
    {"/status", "application/json", answer_status, false},
};

ps_status worker_observer_start(const http_options *options, performance *shown, http **out, ps_error *error)
{
    *out = NULL;
    if (!options->wanted)
        return PS_OK;
    http_config config = http_options_config(options);
    config.pages = pages;
    config.page_count = sizeof pages / sizeof pages[0];
    config.is_shared = true;
    config.refused = performance_refusals(shown);
    config.context = shown;
    events_keep();
    ps_status status = http_start(&config, out, error);
    if (status != PS_OK)
        return status;
    char where[ADDRESS_TEXT_MAX + 8];
    address_format(options->address ? options->address : "127.0.0.1", http_port(*out), where, sizeof where);
    performance_set_http(shown, where);
    return PS_OK;
}
