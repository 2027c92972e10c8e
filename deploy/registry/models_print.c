/* models_print.c - see models_print.h. */
#include "deploy/registry/models_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "deploy/moment.h"
#include "deploy/runs/run_view.h"
#include "deploy/runs/runs_print.h"

enum { OPTIONS_BYTES = 4096 };

/* {"stage":"production"} as stage=production */
static void print_tags(const char *tags)
{
    json *root = NULL;
    const json_options options = {.source = "tags", .max_bytes = 1 << 20};
    if (json_parse(tags, strlen(tags), &options, &root, NULL, NULL) != PS_OK)
        return;
    const char *value;
    for (const json *tag = json_first(root); tag; tag = json_next(tag))
        if (json_as_string(tag, "tag", &value, NULL) == PS_OK)
            printf("%s%s=%s", tag == json_first(root) ? "" : " ", json_key(tag), value);
    json_free(&root);
}

void models_print_table(const model_list *list)
{
    char time[MOMENT_BYTES];
    printf("%-24s  %7s  %-20s  %5s  %12s  %-22s  %s\n", "name", "version", "registered", "files", "bytes",
           "run", "tags");
    for (size_t i = 0; i < list->count; i++) {
        const model_version *v = &list->versions[i];
        printf("%-24s  %7" PRId64 "  %-20s  %5" PRId64 "  %12" PRId64 "  %-22s  ", v->name, v->version,
               moment_format(v->created_ms, time), v->files, v->bytes, v->run ? v->run : "-");
        print_tags(v->tags);
        printf("\n");
    }
}

/* What is known of the run that it comes from. */
static void print_lineage(const char *lineage)
{
    char options[OPTIONS_BYTES], text[RUN_CELL_BYTES];
    run_view run;
    if (!lineage || run_view_open(lineage, &run, NULL) != PS_OK)
        return;
    run_view_options(&run, options, sizeof options);
    printf("  experiment  %s\n  phase       %s\n  cluster     %.0f ps, %.0f workers\n  options     %s\n",
           run.experiment, run_phase_name(run.phase), run.servers, run.workers, options);
    printf("  data        %s\n  accuracy    %s\n", run.data_sha256[0] ? run.data_sha256 : "-",
           runs_cell(run.accuracy, 4, text));
    printf("  loss        %s\n", runs_cell(run.loss, 4, text));
    run_view_close(&run);
}

void models_print_one(const model_version *v, const model_files *files)
{
    char time[MOMENT_BYTES];
    printf("name        %s\nversion     %" PRId64 "\nregistered  %s\nfrom        %s\n", v->name, v->version,
           moment_format(v->created_ms, time), v->source);
    printf("tags        ");
    print_tags(v->tags);
    printf("\nrun         %s\n", v->run ? v->run : "-");
    print_lineage(v->lineage);
    printf("files       %" PRId64 ", %" PRId64 " bytes\n", v->files, v->bytes);
    for (size_t i = 0; i < files->count; i++)
        printf("  %s  %12" PRId64 "  %s\n", files->files[i].sha256, files->files[i].bytes,
               files->files[i].path);
}

static void print_files(const model_files *files)
{
    printf(", \"contents\": [");
    for (size_t i = 0; i < files->count; i++) {
        const model_file *f = &files->files[i];
        printf("%s\n    {\"path\": ", i ? "," : "");
        json_print_string(stdout, f->path);
        printf(", \"bytes\": %" PRId64 ", \"sha256\": \"%s\"}", f->bytes, f->sha256);
    }
    printf("]");
}

static void print_string_or_null(const char *text)
{
    if (text)
        json_print_string(stdout, text);
    else
        printf("null");
}

void models_print_json(const model_list *list, const model_files *files)
{
    char time[MOMENT_BYTES];
    printf("{\"schema\": \"penstock-models/1\", \"models\": [");
    for (size_t i = 0; i < list->count; i++) {
        const model_version *v = &list->versions[i];
        printf("%s\n  {\"name\": \"%s\", \"version\": %" PRId64
               ", \"registered\": \"%s\", \"files\": %" PRId64 ", \"bytes\": %" PRId64 ", \"from\": ",
               i ? "," : "", v->name, v->version, moment_format(v->created_ms, time), v->files, v->bytes);
        json_print_string(stdout, v->source);
        printf(", \"tags\": %s, \"run\": ", v->tags);
        print_string_or_null(v->run);
        printf(", \"lineage\": %s", v->lineage ? v->lineage : "null");
        if (files)
            print_files(files);
        printf("}");
    }
    printf("\n]}\n");
}
