/* fuzz_cluster.c - any TF_CONFIG, --cluster and --task: an error with a line, or a spec that holds together.
 *
 * The first byte of the input chooses daemon, strictness and which of the three texts the rest is; a zero
 * byte in the rest parts two texts. Files are not read: a --cluster that is no JSON text is skipped. */
#include <string.h>

#include "common/cluster.h"
#include "tests/fuzz/fuzz.h"

enum { DAEMON_PS = 1, STRICT = 2, AS_CLUSTER = 4, WITH_SECOND = 8 };

static void require_one_line(const char *text)
{
    FUZZ_REQUIRE(text[0] != '\0');
    for (const char *c = text; *c; c++)
        FUZZ_REQUIRE((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void require_caret(const char *caret)
{
    if (!*caret)
        return;
    const char *second = strchr(caret, '\n');
    FUZZ_REQUIRE(second && !strchr(second + 1, '\n'));
    FUZZ_REQUIRE(second[strlen(second) - 1] == '^');
    FUZZ_REQUIRE((size_t)(strlen(second) - 2) <= (size_t)(second - caret));
}

static void require_job(const cluster_spec *spec, cluster_role role)
{
    const cluster_job *job = &spec->jobs[role];
    FUZZ_REQUIRE(job->count <= CLUSTER_TASKS_MAX);
    FUZZ_REQUIRE(role != ROLE_CHIEF || job->count <= 1);
    for (uint32_t i = 0; i < job->count; i++) {
        const cluster_task *task = &job->tasks[i];
        FUZZ_REQUIRE(task->port != 0);
        FUZZ_REQUIRE(task->host[0] != '\0' && strlen(task->host) <= CLUSTER_ADDRESS_MAX);
        FUZZ_REQUIRE(task->index < CLUSTER_TASKS_MAX);
        FUZZ_REQUIRE(i == 0 || task->index > job->tasks[i - 1].index);
        FUZZ_REQUIRE(!job->dense || task->index == i);
        FUZZ_REQUIRE(cluster_find(spec, role, task->index) == task);
    }
}

static void require_sound(const cluster_spec *spec, cluster_role daemon)
{
    FUZZ_REQUIRE((spec->role == ROLE_PS) == (daemon == ROLE_PS));
    for (int role = ROLE_PS; role <= ROLE_EVALUATOR; role++)
        require_job(spec, (cluster_role)role);
    if (!spec->present) {
        FUZZ_REQUIRE(spec->role == ROLE_WORKER && spec->is_chief && spec->rank == 0 && spec->index == 0);
        FUZZ_REQUIRE(cluster_workers(spec) == 1);
    } else {
        FUZZ_REQUIRE(cluster_find(spec, spec->role, spec->index) || spec->role == ROLE_EVALUATOR);
        FUZZ_REQUIRE(spec->jobs[ROLE_PS].count > 0);
        FUZZ_REQUIRE(spec->role == ROLE_PS || spec->jobs[ROLE_PS].dense);
        FUZZ_REQUIRE(spec->sparse == (cluster_workers(spec) == 0));
        FUZZ_REQUIRE(!spec->is_chief || spec->rank == 0);
    }
}

static void parse(const cluster_source *source)
{
    cluster_spec spec;
    cluster_warning warning;
    ps_error error;
    char caret[256];
    const ps_status status = cluster_parse(source, &spec, &warning, caret, sizeof caret, &error);
    if (status) {
        /* PS_ENOMEM would mean that cJSON refused what the scanner accepts. */
        FUZZ_REQUIRE(status == PS_ECONFIG && error.status == status);
        require_one_line(error.text);
        require_caret(caret);
        return;
    }
    FUZZ_REQUIRE(caret[0] == '\0');
    require_sound(&spec, source->daemon);
    char text[512];
    cluster_describe(&spec, text, sizeof text);
    FUZZ_REQUIRE(strlen(text) > 0 && strlen(text) < sizeof text);
    cluster_fini(&spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    char *first = malloc(bytes);
    FUZZ_REQUIRE(first);
    memcpy(first, data + 1, bytes - 1);
    first[bytes - 1] = '\0';
    const size_t length = strlen(first);
    const char *second = (data[0] & WITH_SECOND) && length + 1 < bytes ? first + length + 1 : NULL;

    cluster_source source = {.daemon = data[0] & DAEMON_PS ? ROLE_PS : ROLE_WORKER,
                             .strict = (data[0] & STRICT) != 0,
                             .task = second};
    if (data[0] & AS_CLUSTER)
        source.cluster = first;
    else
        source.tf_config = first;
    if (!source.cluster || first[strspn(first, " \t\r\n")] == '{')
        parse(&source);
    free(first);
    return 0;
}
