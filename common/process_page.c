/* process_page.c - see process_page.h. */
#include "common/process_page.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void page_host(char *text, size_t bytes)
{
    if (gethostname(text, bytes) != 0)
        text[0] = '\0';
    text[bytes - 1] = '\0';
}

void page_put_process(json_writer *w, const process_page *p)
{
    char host[FIGURES_TEXT_MAX + 1];
    page_host(host, sizeof host);
    json_put_count(w, "schema", STATUS_SCHEMA);
    json_put_text(w, "kind", p->kind);
    json_put_text(w, "role", p->role);
    json_put_count(w, "index", p->index);
    if (p->incarnation)
        json_put_digits(w, "incarnation", p->incarnation);
    else
        json_put_null(w, "incarnation");
    json_put_text(w, "version", PENSTOCK_VERSION);
    json_put_text(w, "host", host);
    json_put_count(w, "pid", (uint64_t)getpid());
    json_put_count(w, "now_unix_ms", p->now_unix_ms);
    json_put_count(w, "started_unix_ms", p->started_unix_ms);
    json_put_count(w, "uptime_ms",
                   p->now_unix_ms > p->started_unix_ms ? p->now_unix_ms - p->started_unix_ms : 0);
    json_put_count(w, "loop_age_ms", p->loop_age_ms);
    json_put_bool(w, "ready", p->ready);
}

void page_put_test(json_writer *w, bool tested, uint64_t step, double accuracy, double loss)
{
    if (!tested) {
        json_put_null(w, "test");
        return;
    }
    json_open(w, "test", '{');
    json_put_count(w, "step", step);
    json_put_real(w, "accuracy", accuracy);
    json_put_real(w, "loss", loss);
    json_close(w, '}');
}

static void put_count(json_writer *w, const char *key, const uint64_t *number)
{
    if (number)
        json_put_count(w, key, *number);
    else
        json_put_null(w, key);
}

static void put_text(json_writer *w, const char *key, const char *text)
{
    json_put_text(w, key, text && text[0] ? text : NULL);
}

void page_put_figures(json_writer *w, const worker_figures *f)
{
    const uint64_t pid = f ? f->pid : 0;
    put_text(w, "activity", f && f->activity != ACTIVITY_UNKNOWN ? worker_activity_name(f->activity) : NULL);
    put_count(w, "examples", f ? &f->examples : NULL);
    put_count(w, "bytes_pushed", f ? &f->bytes_pushed : NULL);
    put_count(w, "bytes_pulled", f ? &f->bytes_pulled : NULL);
    put_count(w, "requests", f ? &f->requests : NULL);
    put_count(w, "resent", f ? &f->resent : NULL);
    put_count(w, "rollbacks", f ? &f->rollbacks : NULL);
    put_text(w, "device", f ? f->device : NULL);
    put_text(w, "host", f ? f->host : NULL);
    put_count(w, "pid", pid ? &pid : NULL);
    put_text(w, "http", f ? f->http : NULL);
}
