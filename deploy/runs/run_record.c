/* run_record.c - see run_record.h. */
#include "deploy/runs/run_record.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>

#include "common/json.h"
#include "deploy/moment.h"

/* ---- phases ---- */

static const char *const phase_names[] = {
#define RUN_PHASE_NAME(name, text) text,
    RUN_PHASES(RUN_PHASE_NAME)
#undef RUN_PHASE_NAME
};

const char *run_phase_name(run_phase phase)
{
    return phase_names[phase];
}

bool run_phase_is_over(run_phase phase)
{
    return phase >= RUN_COMPLETED;
}

ps_status run_phase_parse(const char *name, run_phase *phase, ps_error *error)
{
    for (*phase = RUN_PREPARING; *phase < RUN_PHASE_COUNT; (*phase)++)
        if (strcmp(phase_names[*phase], name) == 0)
            return PS_OK;
    return ps_fail(error, PS_EFORMAT, "'%.40s' is no phase of a run", name);
}

/* ---- who keeps it ---- */

void run_process_find(int64_t pid, run_process *process)
{
    char path[64], line[1024];
    *process = (run_process){.pid = pid};
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file && fgets(process->boot, sizeof process->boot, file))
        process->boot[strcspn(process->boot, "\n")] = '\0';
    if (file)
        fclose(file);
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    file = fopen(path, "re");
    if (!file)
        return;
    /* The command's name, in parentheses, may hold anything; the start is the 20th field after it. */
    const char *rest = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    for (int field = 0; rest && field < 20; field++)
        rest = strchr(rest + 1, ' ');
    if (rest)
        process->started = strtoll(rest, NULL, 10);
    fclose(file);
}

ps_status run_id_make(int64_t now_ms, char id[RUN_ID_BYTES], ps_error *error)
{
    char time[MOMENT_BYTES];
    uint32_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return ps_fail(error, PS_EIO, "no random number: %s", strerror(errno));
    snprintf(id, RUN_ID_BYTES, "%.15s-%06x", moment_format_name(now_ms, time), number & 0xffffff);
    return PS_OK;
}

/* ---- JSON ---- */

void run_record_print_number(FILE *out, double number)
{
    if (isfinite(number))
        fprintf(out, "%.9g", number);
    else
        fprintf(out, "null");
}

static void print_pair(FILE *out, const char *key, const char *text)
{
    fprintf(out, ", \"%s\": ", key);
    json_print_string(out, text);
}

static void print_number(FILE *out, const char *key, double number)
{
    fprintf(out, ", \"%s\": ", key);
    run_record_print_number(out, number);
}

/* What comes from a command line may be no UTF-8, which JSON must be. */
static void print_argument(FILE *out, const char *text)
{
    const size_t room = 6 * strlen(text) + 3;
    char *quoted = malloc(room);
    if (quoted)
        json_quote(text, quoted, room);
    fputs(quoted ? quoted : "\"?\"", out);
    free(quoted);
}

static void print_arguments(FILE *out, const char *key, char *const *list, size_t count)
{
    fprintf(out, ", \"%s\": [", key);
    for (size_t i = 0; i < count; i++) {
        fputs(i ? ", " : "", out);
        print_argument(out, list[i]);
    }
    fputs("]", out);
}

static void print_options(FILE *out, const run_options *o)
{
    fprintf(out, ",\n \"cluster\": {\"ps\": %u, \"workers\": %u, \"chief\": %s, \"evaluator\": %s}",
            o->servers, o->workers, o->chief ? "true" : "false", o->evaluator ? "true" : "false");
    print_arguments(out, "options", o->training, o->training_count);
    print_arguments(out, "ps_options", o->server_options, o->server_option_count);
    fprintf(out, ", \"launcher_options\": {\"restarts\": %u, \"spare_workers\": %u, \"checkpoint_steps\": ",
            o->restarts, o->spare_workers);
    if (o->restarts > 0 || o->keeps_checkpoints)
        fprintf(out, "%" PRIu64 "}", o->checkpoint_steps);
    else
        fprintf(out, "null}");
}

static void print_data(FILE *out, const data_digest *data)
{
    if (!data->folder[0]) {
        fprintf(out, ",\n \"data\": null");
        return;
    }
    fprintf(out, ",\n \"data\": {\"folder\": ");
    print_argument(out, data->folder);
    fprintf(out, ", \"sha256\": \"%s\", \"whole\": %s, \"files\": %" PRIu64 ", \"bytes\": %" PRIu64 "}",
            data->sha256, data->whole ? "true" : "false", data->files, data->bytes);
}

static void print_phases(FILE *out, const run_record *r)
{
    char time[MOMENT_BYTES];
    const char *separator = "";
    fprintf(out, ",\n \"phase\": \"%s\", \"phases\": [", phase_names[r->phase]);
    for (int i = 0; i < RUN_PHASE_COUNT; i++) {
        if (r->phase_ms[i] == 0)
            continue;
        fprintf(out, "%s{\"phase\": \"%s\", \"time\": \"%s\", \"ms\": %" PRId64 "}", separator,
                phase_names[i], moment_format(r->phase_ms[i], time), r->phase_ms[i]);
        separator = ", ";
    }
    fprintf(out, "]");
}

/* The result, as far as there is one, else the latest. */
static void print_metrics(FILE *out, const run_record *r)
{
    const double accuracy = r->finished ? r->result.accuracy : r->evaluated ? r->eval.accuracy : NAN;
    const double loss = r->finished ? r->result.loss : r->evaluated ? r->eval.loss : NAN;
    const double rate = r->finished ? r->result.images_per_s : r->stepped ? r->step.images_per_s : NAN;
    fprintf(out, ",\n \"metrics\": {\"step\": ");
    /* Steps are reported now and then, tests always. */
    run_record_print_number(out,
                            fmax(r->stepped ? (double)r->step.step : NAN, r->evaluated ? r->eval.step : NAN));
    print_number(out, "epoch", r->stepped ? r->step.epoch : NAN);
    print_number(out, "train_loss", r->stepped ? r->step.loss : NAN);
    print_number(out, "accuracy", accuracy);
    print_number(out, "loss", loss);
    print_number(out, "images_per_s", rate);
    print_number(out, "train_seconds", r->finished ? r->result.train_seconds : NAN);
    if (r->finished && r->result.model[0]) {
        fprintf(out, ", \"model\": ");
        print_argument(out, r->result.model);
    }
    fprintf(out, "}");
}

static void print(FILE *out, const run_record *r)
{
    struct utsname system;
    fprintf(out, "{\"schema\": \"penstock-run/1\", \"id\": \"%s\"", r->id);
    print_pair(out, "experiment", r->experiment);
    fprintf(out, ", \"folder\": ");
    print_argument(out, r->folder);
    fprintf(out, ",\n \"host\": ");
    print_argument(out, r->host);
    fprintf(out, ", \"launcher\": {\"pid\": %" PRId64 ", \"started\": %" PRId64, r->launcher.pid,
            r->launcher.started);
    print_pair(out, "boot", r->launcher.boot);
    fprintf(out, "},\n \"versions\": {\"penstock\": \"%s\"", PENSTOCK_VERSION);
    if (uname(&system) == 0)
        fprintf(out, ", \"system\": \"%s %s %s\"", system.sysname, system.release, system.machine);
    fprintf(out, "}");
    print_options(out, r->options);
    print_data(out, &r->data);
    print_phases(out, r);
    print_metrics(out, r);
    if (r->ended)
        fprintf(out, ",\n \"exit_code\": %d", r->exit_code);
    else
        fprintf(out, ",\n \"exit_code\": null");
    fprintf(out, ", \"reason\": ");
    print_argument(out, r->reason);
    fprintf(out, "}\n");
}

ps_status run_record_format(const run_record *record, char **text, size_t *bytes, ps_error *error)
{
    *text = NULL;
    FILE *out = open_memstream(text, bytes);
    if (out)
        print(out, record);
    if (out && fclose(out) == 0)
        return PS_OK;
    free(*text);
    *text = NULL;
    return ps_fail(error, PS_ENOMEM, "out of memory");
}
