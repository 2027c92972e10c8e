/* fuzz_ordinal.c - any --from-ordinal with any names: an error with a line, or a TF_CONFIG that is accepted
 * as such or refused with a line, never a task beyond those that the jobs have.
 *
 * Input: first byte: bit 0 the daemon, bits 1 to 3 which of the three names are there; then lines: the
 * specification and those names. */
#include <string.h>

#include "common/ordinal.h"
#include "tests/fuzz/fuzz.h"

enum { DAEMON_PS = 1, HAS_COMPLETION_INDEX = 2, HAS_POD_NAME = 4, HAS_HOST_NAME = 8 };

static void require_one_line(const char *text)
{
    FUZZ_REQUIRE(text[0] != '\0');
    for (const char *c = text; *c; c++)
        FUZZ_REQUIRE((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/* Cuts the next line off. */
static const char *take_line(char **rest)
{
    char *line = *rest;
    char *end = line + strcspn(line, "\n");
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return line;
}

static void parse(const char *text, cluster_role daemon, bool has_names)
{
    cluster_spec spec;
    cluster_warning warning;
    ps_error error;
    const cluster_source source = {
        .daemon = daemon, .strict = true, .tf_config = text, .origin = "--from-ordinal"};
    const ps_status status = cluster_parse(&source, &spec, &warning, NULL, 0, &error);
    FUZZ_REQUIRE(warning.text[0] == '\0');
    if (status) {
        FUZZ_REQUIRE(status == PS_ECONFIG);
        require_one_line(error.text);
        return;
    }
    FUZZ_REQUIRE(has_names && spec.present && !spec.sparse && spec.role == daemon);
    FUZZ_REQUIRE(spec.index < spec.jobs[daemon].count);
    cluster_fini(&spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    char *copy = malloc(bytes);
    FUZZ_REQUIRE(copy);
    memcpy(copy, data + 1, bytes - 1);
    copy[bytes - 1] = '\0';
    char *rest = copy;
    const char *spec = take_line(&rest);
    const cluster_role daemon = data[0] & DAEMON_PS ? ROLE_PS : ROLE_WORKER;
    ordinal_names names = {NULL, NULL, NULL};
    if (data[0] & HAS_COMPLETION_INDEX)
        names.completion_index = take_line(&rest);
    if (data[0] & HAS_POD_NAME)
        names.pod_name = take_line(&rest);
    if (data[0] & HAS_HOST_NAME)
        names.host_name = take_line(&rest);
    const bool has_names = (data[0] & (HAS_COMPLETION_INDEX | HAS_POD_NAME | HAS_HOST_NAME)) != 0;
    char *text = NULL;
    ps_error error;
    const ps_status status = ordinal_tf_config(spec, daemon, has_names ? &names : NULL, &text, &error);
    if (status == PS_OK) {
        parse(text, daemon, has_names);
    } else {
        FUZZ_REQUIRE(status == PS_ECONFIG && !text);
        require_one_line(error.text);
    }
    free(text);
    free(copy);
    return 0;
}
