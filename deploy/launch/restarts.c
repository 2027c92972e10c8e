/* restarts.c - see restarts.h. */
#include "deploy/launch/restarts.h"

void restarts_init(restarts *r, unsigned allowed, int64_t now_ms)
{
    *r = (restarts){.allowed = allowed};
    for (size_t i = 0; i < TASKS_MAX; i++)
        r->of[i].started_ms = now_ms;
}

bool restarts_worthwhile(const process_end *end)
{
    return !end->asked && verdict_exit_code(end) >= SIGNAL_EXIT_BASE;
}

bool restarts_take(restarts *r, size_t number, const process_end *end, int64_t now_ms, int64_t *pause_ms)
{
    if (!restarts_worthwhile(end) || r->used == r->allowed)
        return false;
    int64_t pause = r->of[number].pause_ms * 2;
    if (pause > RESTART_PAUSE_MAX_MS)
        pause = RESTART_PAUSE_MAX_MS;
    if (pause == 0 || now_ms - r->of[number].started_ms >= RESTART_SETTLED_MS)
        pause = RESTART_FIRST_MS;
    r->of[number].pause_ms = pause;
    r->of[number].due_ms = now_ms + pause;
    r->of[number].waits = true;
    r->used++;
    r->pending++;
    *pause_ms = pause;
    return true;
}

size_t restarts_next(restarts *r, size_t count, int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (!r->of[i].waits || r->of[i].due_ms > now_ms)
            continue;
        r->of[i].waits = false;
        r->of[i].started_ms = now_ms;
        r->pending--;
        return i;
    }
    return count;
}

int64_t restarts_patience(const restarts *r, size_t count, int64_t now_ms, int64_t patience_ms)
{
    for (size_t i = 0; i < count; i++)
        if (r->of[i].waits && r->of[i].due_ms - now_ms < patience_ms)
            patience_ms = r->of[i].due_ms - now_ms;
    return patience_ms;
}
