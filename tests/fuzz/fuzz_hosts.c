/* fuzz_hosts.c - any file of hosts, or any list of Slurm's: an error with a line, or hosts whose tasks have
 * addresses that a cluster spec accepts.
 *
 * Input: first byte 0: a file of hosts; else SLURM_JOB_NODELIST and, on the second line,
 * SLURM_TASKS_PER_NODE. */
#include <string.h>

#include "deploy/hosts/host_commands.h"
#include "deploy/hosts/slurm_hosts.h"
#include "tests/fuzz/fuzz.h"

static host_table table;
static host_layout layout;

static void require_one_line(const ps_error *error)
{
    FUZZ_REQUIRE(error->status == PS_ECONFIG && error->text[0] != '\0');
    for (const char *c = error->text; *c; c++)
        FUZZ_REQUIRE((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static ps_status read_lists(char *text, ps_error *error)
{
    char *second = strchr(text, '\n');
    if (second)
        *second++ = '\0';
    const slurm_job job = {.nodes = text, .tasks_per_node = second};
    return slurm_hosts(&job, 0, &table, error);
}

/* As the daemons read it. */
static void require_cluster(void)
{
    char *text;
    ps_error error;
    if (host_cluster_text(&layout, &text, &error) != PS_OK) {
        FUZZ_REQUIRE(error.status == PS_ELIMIT);
        return;
    }
    const cluster_source source = {.strict = true, .daemon = ROLE_PS, .cluster = text, .task = "ps:0"};
    cluster_spec spec;
    cluster_warning warning;
    FUZZ_REQUIRE(cluster_parse(&source, &spec, &warning, NULL, 0, &error) == PS_OK);
    FUZZ_REQUIRE(spec.jobs[ROLE_PS].count == layout.servers &&
                 spec.jobs[ROLE_WORKER].count == layout.workers);
    cluster_fini(&spec);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const host_wishes wishes = {.port = 2222};
    if (bytes == 0)
        return 0;
    char *text = malloc(bytes);
    FUZZ_REQUIRE(text);
    memcpy(text, data + 1, bytes - 1);
    text[bytes - 1] = '\0';
    ps_error error = {PS_OK, ""};
    ps_status status =
        data[0] == 0 ? host_file_parse(text, bytes - 1, "nodes", &table, &error) : read_lists(text, &error);
    if (status == PS_OK)
        status = host_layout_make(&table, &wishes, &layout, &error);
    if (status == PS_OK)
        require_cluster();
    else
        require_one_line(&error);
    free(text);
    return 0;
}
