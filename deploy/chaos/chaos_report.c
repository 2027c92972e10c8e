/* chaos_report.c - see chaos_report.h. */
#include "deploy/chaos/chaos_report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void chaos_training_hash(chaos_training *t)
{
    char path[RUN_PATH_MAX];
    int ends[2];
    if (run_folder_path(&t->outcome.folder, "outputs", "model/model.safetensors", "", path, NULL) != PS_OK ||
        access(path, R_OK) != 0 || pipe2(ends, O_CLOEXEC) != 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execlp("sha256sum", "sha256sum", "--", path, (char *)NULL);
        _exit(PS_EXIT_FAILURE);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t got; used < CHAOS_HASH_BYTES - 1;) {
        got = read(ends[0], t->hash + used, CHAOS_HASH_BYTES - 1 - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    close(ends[0]);
    t->hash[used] = '\0';
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (strspn(t->hash, "0123456789abcdef") != CHAOS_HASH_BYTES - 1)
        t->hash[0] = '\0';
}

/* ---- judging ---- */

static const char *wanted_hash(const chaos_result *r)
{
    return r->expected ? r->expected : r->plain.hash;
}

static bool is_same_model(const chaos_result *r)
{
    return r->faulty.hash[0] != '\0' && strcasecmp(r->faulty.hash, wanted_hash(r)) == 0;
}

static double points_away(const chaos_result *r)
{
    return 100 * fabs(r->faulty.outcome.result.accuracy - r->plain.outcome.result.accuracy);
}

bool chaos_passed(const chaos_result *r)
{
    bool good = r->within < 0 ? is_same_model(r) : r->faulty.outcome.finished && points_away(r) <= r->within;
    return good && r->faulty.outcome.exit_code == PS_EXIT_DONE && r->faulty.outcome.strays == 0 &&
           r->plain.outcome.strays == 0 && !r->faults->hung;
}

/* ---- faults ---- */

typedef struct {
    size_t planned, injected, recovered;
    double times_s[CHAOS_FAULTS_MAX]; /* (recovered) rising */
} tally;

static int compare_times(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Of one kind, or of all (FAULT_KINDS). */
static void count_faults(const chaos_faults *f, fault_kind kind, tally *t)
{
    *t = (tally){0};
    for (size_t i = 0; i < f->plan->count; i++) {
        const fault_course *course = &f->courses[i];
        if (kind != FAULT_KINDS && f->plan->faults[i].kind != kind)
            continue;
        t->planned++;
        t->injected += course->state != FAULT_PENDING;
        if (course->state == FAULT_RECOVERED)
            t->times_s[t->recovered++] = (double)(course->recovered_ms - course->ended_ms) / 1000;
    }
    qsort(t->times_s, t->recovered, sizeof *t->times_s, compare_times);
}

static double median(const tally *t)
{
    return t->recovered > 0 ? t->times_s[t->recovered / 2] : NAN;
}

static double longest(const tally *t)
{
    return t->recovered > 0 ? t->times_s[t->recovered - 1] : NAN;
}

static uint64_t lost_rows(const chaos_result *r)
{
    return r->faulty.counts.rows_min < r->plain.counts.rows_min
               ? r->plain.counts.rows_min - r->faulty.counts.rows_min
               : 0;
}

static uint64_t doubled_rows(const chaos_result *r)
{
    return r->faulty.counts.rows_max > r->plain.counts.rows_max
               ? r->faulty.counts.rows_max - r->plain.counts.rows_max
               : 0;
}

/* ---- for people ---- */

static void print_times(const tally *t, FILE *to)
{
    if (t->recovered > 0)
        fprintf(to, "  recovered in %.1f s (p50), %.1f s (max)", median(t), longest(t));
    if (t->injected < t->planned)
        fprintf(to, "  %zu came too late", t->planned - t->injected);
    fprintf(to, "\n");
}

static void print_verdict(const chaos_result *r, FILE *to)
{
    const cluster_outcome *end = &r->faulty.outcome;
    if (chaos_passed(r))
        fprintf(to, "verdict         passed: %s\n",
                r->within < 0 ? "the same model, and every process ended well"
                              : "as accurate, and every process ended well");
    else if (r->faults->hung)
        fprintf(to, "verdict         FAILED: not at its end after %.0f s\n",
                (double)r->faults->deadline_ms / 1000);
    else if (end->exit_code != PS_EXIT_DONE)
        fprintf(to, "verdict         FAILED: exit code %d\n", end->exit_code);
    else if (end->strays > 0)
        fprintf(to, "verdict         FAILED: %zu processes left behind\n", end->strays);
    else
        fprintf(to, "verdict         FAILED: %s\n",
                r->within < 0 ? "another model than without faults" : "not as accurate as without faults");
}

static void print_network(const chaos_net *net, FILE *to)
{
    const chaos_net_counters c = net->ops->count(net);
    const chaos_line *line = &net->weather.line;
    fprintf(to, "network         %s", net->ops->name);
    if (line->latency_ms)
        fprintf(to, ", %u ms one way", line->latency_ms);
    if (line->bytes_per_s)
        fprintf(to, ", %g Mbit/s", (double)line->bytes_per_s * 8 / 1e6);
    fprintf(to, ": %.1f MiB, %" PRIu64 " connections, %" PRIu64 " of them reset", (double)c.bytes / (1 << 20),
            c.connections, c.resets);
    if (c.packets > 0)
        fprintf(to, "; %" PRIu64 " packets, %" PRIu64 " lost, %" PRIu64 " overtaken", c.packets, c.lost,
                c.late);
    fprintf(to, "\n");
}

void chaos_report_text(const chaos_result *r, FILE *to)
{
    static tally t;
    const chaos_training *end = &r->faulty;
    count_faults(r->faults, FAULT_KINDS, &t);
    fprintf(to, "faults          %zu injected%s", t.injected,
            r->faults->plan->share_memory ? "" : ", no shared memory");
    print_times(&t, to);
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        count_faults(r->faults, (fault_kind)kind, &t);
        if (t.planned == 0)
            continue;
        fprintf(to, "  %-12s  %zu", fault_kind_name((fault_kind)kind), t.injected);
        print_times(&t, to);
    }
    print_network(r->faults->net, to);
    fprintf(to, "restarts        %u; %" PRIu64 " steps replayed\n", end->outcome.restarts,
            end->counts.steps_replayed);
    fprintf(to,
            "pushes          %" PRIu64 " messages resent, %" PRIu64 " repeats not applied again, %" PRIu64
            " refused\n",
            end->counts.resent, end->counts.repeats, end->counts.refused);
    fprintf(to, "rows applied    %" PRIu64, end->counts.rows_min);
    if (r->plain.done)
        fprintf(to, " of %" PRIu64 " acknowledged: %" PRIu64 " lost, %" PRIu64 " applied twice",
                r->plain.counts.rows_max, lost_rows(r), doubled_rows(r));
    fprintf(to, "\ncheckpoints     %" PRIu64 " written, %" PRIu64 " failed\n", end->counts.checkpoints,
            end->counts.checkpoints_failed);
    if (r->plain.done)
        fprintf(to, "without faults  %s  %.2f %%  %.1f s\n", r->plain.hash,
                100 * r->plain.outcome.result.accuracy, r->plain.seconds);
    else
        fprintf(to, "expected        %s\n", r->expected);
    fprintf(to, "with faults     %s  %.2f %%  %.1f s\n", end->hash[0] ? end->hash : "no model",
            100 * end->outcome.result.accuracy, end->seconds);
    print_verdict(r, to);
}

/* ---- as JSON ---- */

/* JSON knows no NaN. */
static void write_real(FILE *to, const char *key, double value)
{
    if (isfinite(value))
        fprintf(to, "\"%s\": %.6g", key, value);
    else
        fprintf(to, "\"%s\": null", key);
}

static void write_tally(FILE *to, const char *name, const tally *t)
{
    fprintf(to, "\"%s\": {\"planned\": %zu, \"injected\": %zu, \"recovered\": %zu, ", name, t->planned,
            t->injected, t->recovered);
    write_real(to, "recovery_s_p50", median(t));
    fprintf(to, ", ");
    write_real(to, "recovery_s_max", longest(t));
    fprintf(to, "}");
}

static void write_training(FILE *to, const char *name, const chaos_training *t)
{
    fprintf(to, "\"%s\": {\"sha256\": \"%s\", \"exit_code\": %d, \"left_behind\": %zu, ", name, t->hash,
            t->outcome.exit_code, t->outcome.strays);
    write_real(to, "accuracy", t->outcome.finished ? t->outcome.result.accuracy : NAN);
    fprintf(to,
            ", \"seconds\": %.3f, \"restarts\": %u, \"rows_applied_min\": %" PRIu64
            ", \"rows_applied_max\": %" PRIu64 ", \"repeats\": %" PRIu64 ", \"refused\": %" PRIu64
            ", \"resent\": %" PRIu64 ", \"steps_replayed\": %" PRIu64 ", \"checkpoints\": %" PRIu64
            ", \"checkpoints_failed\": %" PRIu64 "},\n ",
            t->seconds, t->outcome.restarts, t->counts.rows_min, t->counts.rows_max, t->counts.repeats,
            t->counts.refused, t->counts.resent, t->counts.steps_replayed, t->counts.checkpoints,
            t->counts.checkpoints_failed);
}

static void write_network(FILE *to, const chaos_net *net)
{
    const chaos_net_counters c = net->ops->count(net);
    fprintf(to,
            "\"network\": {\"net\": \"%s\", \"latency_ms\": %u, \"bytes_per_s\": %" PRIu64
            ", \"bytes\": %" PRIu64 ", \"connections\": %" PRIu64 ", \"resets\": %" PRIu64
            ", \"packets\": %" PRIu64 ", \"packets_lost\": %" PRIu64 ", \"packets_overtaken\": %" PRIu64
            "},\n ",
            net->ops->name, net->weather.line.latency_ms, net->weather.line.bytes_per_s, c.bytes,
            c.connections, c.resets, c.packets, c.lost, c.late);
}

static void write_course(FILE *to, const chaos_faults *f, size_t number)
{
    static const char *const states[] = {[FAULT_PENDING] = "too late",
                                         [FAULT_AWAITS] = "ended with the run",
                                         [FAULT_LASTS] = "ended with the run",
                                         [FAULT_RECOVERING] = "no step afterwards",
                                         [FAULT_RECOVERED] = "recovered"};
    const fault_course *course = &f->courses[number];
    char target[CHAOS_TARGET_MAX];
    fprintf(to, "%s\n  {\"do\": \"%s\", \"target\": \"%s\", \"state\": \"%s\"", number > 0 ? "," : "",
            fault_kind_name(f->plan->faults[number].kind), fault_target(&f->plan->faults[number], target),
            states[course->state]);
    if (course->state != FAULT_PENDING)
        fprintf(to, ", \"begun_s\": %.3f, \"ended_s\": %.3f", (double)course->begun_ms / 1000,
                (double)course->ended_ms / 1000);
    if (course->state == FAULT_RECOVERED)
        fprintf(to, ", \"recovery_s\": %.3f", (double)(course->recovered_ms - course->ended_ms) / 1000);
    fprintf(to, "}");
}

void chaos_report_json(const chaos_result *r, FILE *to)
{
    static tally t;
    fprintf(to, "{\"passed\": %s, \"hung\": %s, ", chaos_passed(r) ? "true" : "false",
            r->faults->hung ? "true" : "false");
    if (r->drawn)
        fprintf(to, "\"seed\": %" PRIu64 ", ", r->seed);
    fprintf(to, "\"expected_sha256\": \"%s\", \"same_model\": %s, \"shared_memory\": %s,\n ", wanted_hash(r),
            is_same_model(r) ? "true" : "false", r->faults->plan->share_memory ? "true" : "false");
    if (r->plain.done) {
        write_training(to, "without_faults", &r->plain);
        fprintf(to, "\"rows_lost\": %" PRIu64 ", \"rows_applied_twice\": %" PRIu64 ",\n ", lost_rows(r),
                doubled_rows(r));
    }
    write_training(to, "with_faults", &r->faulty);
    write_network(to, r->faults->net);
    count_faults(r->faults, FAULT_KINDS, &t);
    write_tally(to, "all", &t);
    fprintf(to, ",\n \"kinds\": {");
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        count_faults(r->faults, (fault_kind)kind, &t);
        fprintf(to, "%s\n  ", kind > 0 ? "," : "");
        write_tally(to, fault_kind_name((fault_kind)kind), &t);
    }
    fprintf(to, "},\n \"faults\": [");
    for (size_t i = 0; i < r->faults->plan->count; i++)
        write_course(to, r->faults, i);
    fprintf(to, "\n ]}\n");
}
