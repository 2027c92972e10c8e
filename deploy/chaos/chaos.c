/* chaos.c - `penstock chaos`: trains without faults, then with, and compares.
 *
 * What is decided here: what the two runs are given. Which faults there are is chaos_plan's, how they come
 * about chaos_faults', what the end is worth chaos_report's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "deploy/chaos/chaos_faults.h"
#include "deploy/chaos/chaos_options.h"
#include "deploy/chaos/chaos_plan.h"
#include "deploy/chaos/chaos_proxy.h"
#include "deploy/chaos/chaos_report.h"
#include "deploy/chaos/chaos_router.h"
#include "deploy/commands.h"
#include "deploy/launch/cluster_run.h"
#include "deploy/launch/programs.h"
#include "deploy/runs/run_folder.h"

/* What is preloaded into ps, to let their checkpoints fail. */
#define DISK_LIBRARY "penstock-disk-faults.so"

enum {
    ENVIRONMENT_BYTES = RUN_PATH_MAX + 64,
    ENVIRONMENT_ENTRIES = 3, /* with the NULL */
};

static char no_shared_memory[] = "--no-shared-memory";

typedef struct {
    chaos_options options;
    const char *title;
    run_folder folder;               /* both runs are in it */
    char library[RUN_PATH_MAX];      /* of the disk faults, or empty */
    char preload[ENVIRONMENT_BYTES]; /* environment of ps */
    char controls[CHAOS_SERVERS_MAX][ENVIRONMENT_BYTES];
    char *environments[CHAOS_SERVERS_MAX][ENVIRONMENT_ENTRIES];
    char **training; /* with an option of ours, owned */
    chaos_plan plan;
    chaos_faults faults;
    chaos_result result;
} chaos;

/* ---- the plan ---- */

static bool wants_disks(const chaos_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (fault_kind_reach(plan->faults[i].kind) == DISTURBS_DISK)
            return true;
    return false;
}

/* Can the network bring all faults of the plan about? */
static ps_status check_net(const chaos *c, ps_error *error)
{
    for (size_t i = 0; i < c->plan.count; i++)
        if (fault_kind_takes_packets(c->plan.faults[i].kind) && !c->options.namespaces)
            return ps_fail(
                error, PS_ECONFIG,
                "%s: fault %zu: '%s' needs --net namespaces: a proxy passes on connections, not packets",
                c->options.plan_file, i + 1, fault_kind_name(c->plan.faults[i].kind));
    return PS_OK;
}

static ps_status read_plan(chaos *c, ps_error *error)
{
    char *text = NULL;
    size_t bytes;
    const run_options *run = &c->options.run;
    ps_status status = file_read(c->options.plan_file, CHAOS_PLAN_BYTES_MAX, &text, &bytes, error);
    if (status == PS_OK)
        status =
            chaos_plan_parse(text, bytes, c->options.plan_file, run->workers, run->servers, &c->plan, error);
    free(text);
    return status == PS_OK ? PS_OK : PS_ECONFIG;
}

static ps_status make_plan(chaos *c, ps_error *error)
{
    const run_options *run = &c->options.run;
    ps_error lacking;
    bool disks =
        program_find(DISK_LIBRARY, "tests/chaos", NULL, c->library, sizeof c->library, &lacking) == PS_OK;
    if (c->options.plan_file) {
        ps_status status = read_plan(c, error);
        if (status == PS_OK)
            status = check_net(c, error);
        if (status == PS_OK && wants_disks(&c->plan) && !disks)
            status = ps_fail(error, PS_ECONFIG,
                             "the plan has faults of disks, but %s, which is built with the "
                             "tests, is not there",
                             DISK_LIBRARY);
        return status;
    }
    if (c->options.faults == 0) {
        c->plan.share_memory = true;
        return PS_OK;
    }
    if (!disks)
        fprintf(stderr, "%s: no disk will fail: %s, which is built with the tests, is not there\n", c->title,
                DISK_LIBRARY);
    c->result.drawn = true;
    chaos_plan_draw(c->options.seed, c->options.faults, run->workers, run->servers, disks,
                    c->options.namespaces, &c->plan);
    return PS_OK;
}

/* Memory that is shared would go round the links, of which namespaces are to carry everything. */
static ps_status make_net(chaos *c, ps_error *error)
{
    const run_options *run = &c->options.run;
    ps_error cause;
    if (!c->options.namespaces)
        return chaos_proxy_create(run->workers, run->servers, c->options.seed, &c->faults.net, error);
    c->plan.share_memory = false;
    ps_status status = chaos_router_create(run->workers, run->servers, c->options.line, c->options.seed,
                                           &c->faults.net, &cause);
    return status == PS_OK
               ? PS_OK
               : ps_fail(error, status, "--net namespaces: %s; --net proxy, the default, needs no right",
                         cause.text);
}

static ps_status keep_plan(const chaos *c, ps_error *error)
{
    char path[RUN_PATH_MAX];
    ps_status status = run_folder_path(&c->folder, "plan.json", "", "", path, error);
    if (status != PS_OK)
        return status;
    FILE *file = fopen(path, "we");
    if (file)
        chaos_plan_write(&c->plan, file);
    if (!file || fclose(file) != 0)
        return ps_fail(error, PS_EIO, "cannot write %s: %s", path, strerror(errno));
    return PS_OK;
}

/* ---- what the run under faults is given ---- */

static uint16_t detour(void *context, size_t worker, size_t server)
{
    chaos *c = context;
    return chaos_proxy_port(c->faults.net, worker, server);
}

static int space(void *context, cluster_role role, size_t index)
{
    const chaos *c = context;
    return chaos_router_space(c->faults.net, role, index);
}

static ps_status reserve(void *context, cluster_role role, size_t index, int *socket_fd, uint32_t *address,
                         uint16_t *port, ps_error *error)
{
    const chaos *c = context;
    return chaos_router_reserve(c->faults.net, role, index, socket_fd, address, port, error);
}

static char *const *environment(void *context, size_t server)
{
    chaos *c = context;
    return c->environments[server];
}

/* A control file for each ps. */
static ps_status prepare_disks(chaos *c, ps_error *error)
{
    char folder[RUN_PATH_MAX];
    for (size_t i = 0; i < CHAOS_SERVERS_MAX; i++)
        c->faults.disks[i] = -1;
    if (!wants_disks(&c->plan))
        return PS_OK;
    ps_status status = run_folder_path(&c->folder, "disks", "", "", folder, error);
    if (status == PS_OK)
        status = file_make_folder(folder, error);
    snprintf(c->preload, sizeof c->preload, "LD_PRELOAD=%s", c->library);
    for (size_t i = 0; i < c->options.run.servers && status == PS_OK; i++) {
        static const char variable[] = "PENSTOCK_DISK_FAULTS=";
        int length = snprintf(c->controls[i], ENVIRONMENT_BYTES, "%s%s/ps-%zu", variable, folder, i);
        if (length >= ENVIRONMENT_BYTES)
            return ps_fail(error, PS_ELIMIT, "the path %.40s... is too long", folder);
        const char *path = c->controls[i] + strlen(variable);
        c->faults.disks[i] = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (c->faults.disks[i] < 0 || pwrite(c->faults.disks[i], "", 1, 0) != 1)
            return ps_fail(error, PS_EIO, "cannot write %s: %s", path, strerror(errno));
        c->environments[i][0] = c->preload;
        c->environments[i][1] = c->controls[i];
    }
    return status;
}

/* Every worker and ps is told, too, if they are not to share memory. */
static ps_status extend_options(chaos *c, run_options *run, ps_error *error)
{
    if (c->plan.share_memory)
        return PS_OK;
    c->training = calloc(run->training_count + 1, sizeof *c->training);
    if (!c->training)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    for (size_t i = 0; i < run->training_count; i++)
        c->training[i] = run->training[i];
    c->training[run->training_count++] = no_shared_memory;
    run->training = c->training;
    run->server_options[run->server_option_count++] = no_shared_memory;
    return PS_OK;
}

/* ---- the runs ---- */

static ps_status train(chaos *c, const char *name, run_options *run, const tasks_detour *way,
                       const cluster_observer *observer, chaos_training *t, ps_error *error)
{
    char path[RUN_PATH_MAX];
    ps_status status = run_folder_path(&c->folder, name, "", "", path, error);
    if (status != PS_OK)
        return status;
    run->run_dir = path;
    uint64_t begun = clock_monotonic_ms();
    cluster_run_to_end(c->title, run, way, observer, &t->outcome);
    t->seconds = (double)(clock_monotonic_ms() - begun) / 1000;
    t->done = true;
    chaos_training_hash(t);
    return chaos_logs_count(&t->outcome.folder, run->servers, run->workers, &t->counts, error);
}

static ps_status train_without_faults(chaos *c, ps_error *error)
{
    run_options run = c->options.run;
    run.restarts = 0;
    run.keeps_checkpoints = true; /* options of ps may need them */
    printf("training without faults, in %s/plain\n", c->folder.path);
    fflush(stdout);
    return train(c, "plain", &run, NULL, NULL, &c->result.plain, error);
}

static ps_status train_under_faults(chaos *c, ps_error *error)
{
    run_options run = c->options.run;
    chaos_faults *f = &c->faults;
    f->title = c->title;
    f->plan = &c->plan;
    f->workers = run.workers;
    f->servers = run.servers;
    f->deadline_ms = c->options.deadline_s * 1000;
    c->result.faults = f;
    ps_status status = prepare_disks(c, error);
    if (status == PS_OK)
        status = extend_options(c, &run, error);
    if (status != PS_OK)
        return status;
    printf("training with %zu faults, in %s/faults%s\n", c->plan.count, c->folder.path,
           c->options.namespaces ? ", in network namespaces" : "");
    fflush(stdout);
    const tasks_detour through_proxy = {.context = c, .detour = detour, .environment = environment};
    const tasks_detour apart = {
        .context = c, .network = space, .reserve = reserve, .environment = environment};
    const cluster_observer observer = chaos_faults_observer(f);
    return train(c, "faults", &run, c->options.namespaces ? &apart : &through_proxy, &observer,
                 &c->result.faulty, error);
}

static ps_status write_report(const chaos *c, ps_error *error)
{
    chaos_report_text(&c->result, stdout);
    if (!c->options.report)
        return PS_OK;
    FILE *file = fopen(c->options.report, "we");
    if (file)
        chaos_report_json(&c->result, file);
    if (!file || fclose(file) != 0)
        return ps_fail(error, PS_EIO, "cannot write %s: %s", c->options.report, strerror(errno));
    return PS_OK;
}

/* Leaves the exit code in `*code`, unless it fails. */
static ps_status try_all(chaos *c, int *code, ps_error *error)
{
    c->result.seed = c->options.seed;
    c->result.expected = c->options.expected;
    c->result.within = c->options.within;
    ps_status status = make_plan(c, error);
    if (status == PS_OK)
        status = make_net(c, error);
    if (status == PS_OK)
        status = run_folder_make(&c->folder, c->options.run.run_dir, error);
    if (status == PS_OK)
        status = keep_plan(c, error);
    if (status == PS_OK && !c->options.expected)
        status = train_without_faults(c, error);
    if (status != PS_OK)
        return status;
    *code = c->result.plain.outcome.exit_code;
    if (*code != PS_EXIT_DONE) /* it has been complained about */
        return PS_OK;
    status = train_under_faults(c, error);
    if (status == PS_OK)
        status = write_report(c, error);
    *code = c->result.faulty.outcome.exit_code > SIGNAL_EXIT_BASE ? c->result.faulty.outcome.exit_code
            : status == PS_OK && chaos_passed(&c->result)         ? PS_EXIT_DONE
                                                                  : PS_EXIT_FAILURE;
    return status;
}

int chaos_main(int argc, char **argv)
{
    chaos *c = calloc(1, sizeof *c);
    ps_error error;
    if (!c) {
        fprintf(stderr, "%s: out of memory\n", argv[0]);
        return PS_EXIT_FAILURE;
    }
    int code = PS_EXIT_FAILURE;
    c->title = argv[0];
    for (size_t i = 0; i < CHAOS_SERVERS_MAX; i++)
        c->faults.disks[i] = -1;
    chaos_options_parse(argc, argv, &c->options);
    ps_status status = try_all(c, &code, &error);
    if (status != PS_OK) {
        fprintf(stderr, "%s: %s\n", argv[0], error.text);
        code = ps_status_exit_code(status);
    }
    if (c->faults.net)
        c->faults.net->ops->destroy(c->faults.net);
    for (size_t i = 0; i < CHAOS_SERVERS_MAX; i++)
        if (c->faults.disks[i] >= 0)
            close(c->faults.disks[i]);
    free(c->training);
    free(c);
    return code;
}
