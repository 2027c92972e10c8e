/* hosts.c - `penstock hosts`: a list of hosts in, and what to type on each, or a cluster that runs there. */
#include <stdio.h>
#include <stdlib.h>

#include "common/status.h"
#include "deploy/command_end.h"
#include "deploy/commands.h"
#include "deploy/hosts/host_commands.h"
#include "deploy/hosts/host_file.h"
#include "deploy/hosts/host_layout.h"
#include "deploy/hosts/host_options.h"
#include "deploy/hosts/host_run.h"
#include "deploy/hosts/slurm_hosts.h"

/* Large, and there once. */
static host_table table;
static host_layout layout;

static ps_status place(host_options *o, ps_error *error)
{
    const slurm_job job = {.nodes = getenv("SLURM_JOB_NODELIST"),
                           .tasks_per_node = getenv("SLURM_TASKS_PER_NODE"),
                           .tasks = getenv("SLURM_NTASKS")};
    const host_wishes wishes = {.servers = o->run.servers, .workers = o->run.workers, .port = o->port};
    const ps_status status = o->slurm ? slurm_hosts(&job, o->run.servers, &table, error)
                                      : host_file_read(o->host_file, &table, error);
    return status ? status : host_layout_make(&table, &wishes, &layout, error);
}

static ps_status print_cluster(ps_error *error)
{
    char *text;
    const ps_status status = host_cluster_text(&layout, &text, error);
    if (status == PS_OK)
        puts(text);
    if (status == PS_OK)
        free(text);
    return status;
}

static void print_tasks(void)
{
    for (size_t i = 0; i < layout.count; i++)
        printf("%s:%u %s\n", cluster_role_name(layout.list[i].role), layout.list[i].index,
               layout.list[i].host->address);
}

/* Host by host, each behind a comment, so that all may be pasted. */
static ps_status print_commands(const host_job *job, ps_error *error)
{
    ps_status status = PS_OK;
    for (size_t i = 0; i < table.count; i++) {
        bool is_first = true;
        for (size_t k = 0; k < layout.count && status == PS_OK; k++) {
            char *command;
            if (layout.list[k].host != &table.list[i])
                continue;
            status = host_command(job, &layout.list[k], &command, error);
            if (status != PS_OK)
                break;
            if (is_first)
                printf("# %s\n", table.list[i].name);
            is_first = false;
            printf("%s\n", command);
            free(command);
        }
    }
    return status;
}

int hosts_main(int argc, char **argv)
{
    host_options o;
    ps_error error;
    host_options_parse(argc, argv, &o);
    ps_status status = place(&o, &error);
    const host_job job = {.layout = &layout,
                          .bin_dir = o.run.bin_dir,
                          .folder = o.folder,
                          .server_options = o.run.server_options,
                          .server_option_count = o.run.server_option_count,
                          .training = o.run.training,
                          .training_count = o.run.training_count};
    if (status == PS_OK && o.starts)
        return host_run_to_end(argv[0], &o, &job);
    if (status == PS_OK && o.print == PRINT_CLUSTER)
        status = print_cluster(&error);
    else if (status == PS_OK && o.print == PRINT_TASKS)
        print_tasks();
    else if (status == PS_OK)
        status = print_commands(&job, &error);
    return command_end(argv[0], status, &error);
}
