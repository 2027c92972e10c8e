/* models.c - `penstock models`: trained models under names and versions, for people and for scripts.
 *
 * What a registry does with them is model_store's. */
#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"
#include "deploy/command_end.h"
#include "deploy/command_table.h"
#include "deploy/commands.h"
#include "deploy/registry/model_store.h"
#include "deploy/registry/models_print.h"
#include "deploy/registry/registry_command.h"
#include "deploy/runs/run_history.h"

enum { REFERENCES_MAX = 256 };

typedef struct {
    char name[REGISTRY_NAME_MAX];
    int64_t version; /* 0: none was given */
} reference;

typedef struct {
    registry_options common;
    const char *target;
    bool all;
    model_registration registration;
    model_tag tags[MODEL_TAGS_MAX];
    reference references[REFERENCES_MAX]; /* NAME or NAME:VERSION */
    size_t reference_count, references_max;
} models_options;

/* ---- options ---- */

enum {
    KEY_NAME = REGISTRY_KEY_OTHERS,
    KEY_PATH,
    KEY_RUN,
    KEY_TAG,
    KEY_TO,
    KEY_ALL,
};

static void parse_tag(char *text, models_options *o, struct argp_state *state)
{
    char *value = strchr(text, '=');
    if (!value)
        argp_error(state, "--tag: '%s' is not of the form KEY=VALUE", text);
    if (o->registration.tag_count == MODEL_TAGS_MAX)
        argp_error(state, "--tag: more than %d", MODEL_TAGS_MAX);
    *value = '\0';
    o->tags[o->registration.tag_count++] = (model_tag){text, value + 1};
}

static void parse_reference(const char *text, models_options *o, struct argp_state *state)
{
    ps_error error;
    if (o->reference_count == o->references_max)
        argp_error(state, "'%s' is one argument too many", text);
    reference *added = &o->references[o->reference_count++];
    const size_t length = strcspn(text, ":");
    uint64_t version = 0;
    if (length >= sizeof added->name)
        argp_error(state, "the model name %.24s... exceeds %d bytes", text, REGISTRY_NAME_MAX - 1);
    snprintf(added->name, sizeof added->name, "%.*s", (int)length, text);
    if (registry_check_name("model", added->name, &error) != PS_OK)
        argp_error(state, "%s", error.text);
    if (text[length] == ':' &&
        option_unsigned("VERSION", text + length + 1, 1, INT64_MAX, &version, &error) != PS_OK)
        argp_error(state, "'%s': the version is not a whole number from 1 on", text);
    added->version = (int64_t)version;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    models_options *o = state->input;
    ps_error error;
    switch (key) {
    case KEY_NAME:
        o->registration.name = argument;
        return 0;
    case KEY_PATH:
        o->registration.path = argument;
        return 0;
    case KEY_RUN:
        o->registration.run = argument;
        return 0;
    case KEY_TAG:
        parse_tag(argument, o, state);
        return 0;
    case KEY_TO:
        if (option_name("to", argument, &o->target, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        return 0;
    case KEY_ALL:
        o->all = true;
        return 0;
    case ARGP_KEY_ARG:
        parse_reference(argument, o, state);
        return 0;
    default:
        return registry_options_take(key, argument, state, &o->common);
    }
}

/* Parses what all have in common; a command that takes models takes `least` to `most`. */
static void parse(const struct argp *parser, int argc, char **argv, size_t least, size_t most,
                  models_options *o)
{
    *o = (models_options){.references_max = most};
    o->registration.tags = o->tags;
    argp_parse(parser, argc, argv, 0, NULL, o);
    if (o->reference_count < least) {
        fprintf(stderr, "%s: which model is missing: NAME or NAME:VERSION\n", argv[0]);
        exit(PS_EXIT_USAGE);
    }
}

/* ---- register ---- */

static const struct argp_option register_options[] = {
    {"name", KEY_NAME, "NAME", 0, "What it is called: a-z, 0-9, '.', '_', '-'; must be given", 0},
    {"path", KEY_PATH, "PATH", 0, "A folder, or one file (outputs/model of the run)", 0},
    {"run", KEY_RUN, "ID", 0, "The run that it comes from (penstock runs list)", 0},
    {"tag", KEY_TAG, "KEY=VALUE", 0, "Something to know it by; may be repeated", 0},
    REGISTRY_OPTION,
    REGISTRY_OPTION_JSON,
    {0}};

static const struct argp register_parser = {
    .options = register_options,
    .parser = parse_option,
    .doc = "Keep the files at PATH as a new version of the model NAME.\v"
           "The first version of a name is 1; a number is never used again. Either all files are kept, or "
           "nothing "
           "changes, also if this is killed. With --run the version keeps what is known of that run.\n\n"
           "Exit status: 0; 2 usage; 3 PATH is not there, or the registry is damaged; 138 others have held "
           "it for "
           "too long; 1 anything else, such as a full disk."};

/* What a run has left, unless a path is given. */
static ps_status find_path(registry *r, model_registration *m, char path[PATH_BYTES], ps_error *error)
{
    run_rows rows = {0};
    if (m->path)
        return PS_OK;
    ps_status status = run_history_find(r, m->run, &rows, error);
    if (status == PS_OK)
        status = path_make(path, error, "%s/outputs/model", rows.rows[0].folder);
    m->path = path;
    run_rows_free(&rows);
    return status;
}

static ps_status check_registration(const model_registration *m, ps_error *error)
{
    if (!m->name || (!m->path && !m->run) || (m->path && m->path[0] == '\0'))
        return ps_fail(error, PS_EINVAL, "%s is missing", m->name ? "--path" : "--name");
    return registry_check_name("model", m->name, error);
}

static ps_status register_one(registry *r, void *context, ps_error *error)
{
    models_options *o = context;
    model_registration *m = &o->registration;
    int64_t version = 0;
    char path[PATH_BYTES];
    ps_status status = find_path(r, m, path, error);
    if (status == PS_OK)
        status = model_store_register(r, m, &version, error);
    if (status == PS_OK)
        printf(o->common.json ? "{\"name\": \"%s\", \"version\": %lld}\n" : "registered %s version %lld\n",
               m->name, (long long)version);
    return status;
}

static int register_main(int argc, char **argv)
{
    static models_options o;
    ps_error error;
    parse(&register_parser, argc, argv, 0, 0, &o);
    const ps_status status = check_registration(&o.registration, &error);
    if (status != PS_OK)
        return command_end(argv[0], status, &error);
    return registry_command_run(argv[0], &o.common, REGISTRY_MAY_BE_NEW, register_one, &o);
}

/* ---- list, show ---- */

static const struct argp_option look_options[] = {REGISTRY_OPTION, REGISTRY_OPTION_JSON, {0}};

static ps_status list(registry *r, void *context, ps_error *error)
{
    const models_options *o = context;
    const reference *wanted = o->reference_count > 0 ? &o->references[0] : NULL;
    model_list list = {0};
    ps_status status =
        wanted ? model_store_resolve(r, wanted->name, &(int64_t){wanted->version}, error) : PS_OK;
    if (status == PS_OK)
        status =
            model_store_list(r, wanted ? wanted->name : NULL, wanted ? wanted->version : 0, &list, error);
    if (status == PS_OK && o->common.json)
        models_print_json(&list, NULL);
    else if (status == PS_OK)
        models_print_table(&list);
    model_list_free(&list);
    return status;
}

static int list_main(int argc, char **argv)
{
    static const struct argp parser = {.options = look_options,
                                       .parser = parse_option,
                                       .args_doc = "[NAME]",
                                       .doc = "List the models that are kept, or the versions of one."};
    static models_options o;
    parse(&parser, argc, argv, 0, 1, &o);
    return registry_command_run(argv[0], &o.common, REGISTRY_MUST_EXIST, list, &o);
}

static ps_status show(registry *r, void *context, ps_error *error)
{
    const models_options *o = context;
    reference wanted = o->references[0];
    model_list list = {0};
    model_files files = {0};
    ps_status status = model_store_resolve(r, wanted.name, &wanted.version, error);
    if (status == PS_OK)
        status = model_store_list(r, wanted.name, wanted.version, &list, error);
    if (status == PS_OK)
        status = model_store_files(r, wanted.name, wanted.version, &files, error);
    if (status == PS_OK && o->common.json)
        models_print_json(&list, &files);
    else if (status == PS_OK && list.count > 0)
        models_print_one(&list.versions[0], &files);
    model_files_free(&files);
    model_list_free(&list);
    return status;
}

static int show_main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = look_options,
        .parser = parse_option,
        .args_doc = "NAME[:VERSION]",
        .doc = "Show a model, the newest version unless told otherwise: its files and where it comes from."};
    static models_options o;
    parse(&parser, argc, argv, 1, 1, &o);
    return registry_command_run(argv[0], &o.common, REGISTRY_MUST_EXIST, show, &o);
}

/* ---- download, rm ---- */

static const struct argp_option download_options[] = {
    {"to", KEY_TO, "DIR", 0, "The folder to be made (NAME-VERSION, in this folder)", 0},
    REGISTRY_OPTION,
    {0}};

static ps_status download(registry *r, void *context, ps_error *error)
{
    const models_options *o = context;
    reference wanted = o->references[0];
    char target[PATH_BYTES];
    ps_status status = model_store_resolve(r, wanted.name, &wanted.version, error);
    if (status == PS_OK)
        status = o->target ? path_make(target, error, "%s", o->target)
                           : path_make(target, error, "%s-%lld", wanted.name, (long long)wanted.version);
    if (status != PS_OK)
        return status;
    size_t length = strlen(target);
    while (length > 1 && target[length - 1] == '/')
        target[--length] = '\0';
    status = model_store_download(r, wanted.name, wanted.version, target, error);
    if (status == PS_OK)
        printf("%s version %lld is in %s\n", wanted.name, (long long)wanted.version, target);
    return status;
}

static int download_main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = download_options,
        .parser = parse_option,
        .args_doc = "NAME[:VERSION]",
        .doc = "Copy the files of a model to a new folder, the newest version unless told otherwise.\v"
               "Every file is checked to be what was registered before the folder appears under its name; if "
               "one is "
               "damaged, or the disk is full, there is no folder."};
    static models_options o;
    parse(&parser, argc, argv, 1, 1, &o);
    return registry_command_run(argv[0], &o.common, REGISTRY_MUST_EXIST, download, &o);
}

static const struct argp_option remove_options[] = {
    {"all", KEY_ALL, NULL, 0, "All versions of a NAME that is given without one", 0}, REGISTRY_OPTION, {0}};

static ps_status remove_one(registry *r, const reference *wanted, bool all, ps_error *error)
{
    if (wanted->version == 0 && !all)
        return ps_fail(error, PS_EINVAL, "which version of %s? Say %s:VERSION, or --all", wanted->name,
                       wanted->name);
    ps_status status = model_store_remove(r, wanted->name, wanted->version, error);
    if (status == PS_OK && wanted->version == 0)
        printf("removed all versions of %s\n", wanted->name);
    else if (status == PS_OK)
        printf("removed %s version %lld\n", wanted->name, (long long)wanted->version);
    return status;
}

static ps_status remove_all(registry *r, void *context, ps_error *error)
{
    const models_options *o = context;
    ps_status status = PS_OK;
    for (size_t i = 0; i < o->reference_count && status == PS_OK; i++)
        status = remove_one(r, &o->references[i], o->all, error);
    return status;
}

static int remove_main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = remove_options,
        .parser = parse_option,
        .args_doc = "NAME:VERSION...",
        .doc = "Remove versions of models, and the files that no other version has.\v"
               "Their numbers are not used again."};
    static models_options o;
    parse(&parser, argc, argv, 1, REFERENCES_MAX, &o);
    return registry_command_run(argv[0], &o.common, REGISTRY_MUST_EXIST, remove_all, &o);
}

/* ---- verify ---- */

typedef struct {
    size_t files, damaged, strays;
} tally;

static void count_verdict(void *context, const model_file *file, const ps_error *verdict)
{
    tally *t = context;
    t->files++;
    if (verdict->status == PS_OK)
        return;
    t->damaged++;
    printf("%s version %lld: %s: %s\n", file->name, (long long)file->version, file->path, verdict->text);
}

static ps_status count_stray(void *context, const char *path, ps_error *error)
{
    (void)error;
    tally *t = context;
    t->strays++;
    printf("%s belongs to no model\n", path);
    return PS_OK;
}

static ps_status verify_one(registry *r, const reference *wanted, tally *t, ps_error *error)
{
    ps_status status = wanted ? model_store_resolve(r, wanted->name, &(int64_t){wanted->version}, error)
                              : database_check(r->db, error);
    if (status == PS_OK)
        status = model_store_verify(r, wanted ? wanted->name : NULL, wanted ? wanted->version : 0,
                                    count_verdict, t, error);
    if (status != PS_OK || wanted)
        return status;
    /* While nobody can bring a file in, or take one out. */
    status = database_begin(r->db, error);
    if (status == PS_OK)
        status = registry_each_stray(r, count_stray, t, error);
    database_rollback(r->db);
    return status;
}

static ps_status verify(registry *r, void *context, ps_error *error)
{
    const models_options *o = context;
    tally t = {0};
    ps_status status = o->reference_count == 0 ? verify_one(r, NULL, &t, error) : PS_OK;
    for (size_t i = 0; i < o->reference_count && status == PS_OK; i++)
        status = verify_one(r, &o->references[i], &t, error);
    if (status != PS_OK)
        return status;
    if (t.damaged + t.strays > 0)
        return ps_fail(error, PS_EFORMAT, "of %zu files %zu are damaged; %zu belong to no model", t.files,
                       t.damaged, t.strays);
    printf("%zu files are what was registered\n", t.files);
    return PS_OK;
}

static int verify_main(int argc, char **argv)
{
    static const struct argp_option options[] = {REGISTRY_OPTION, {0}};
    static const struct argp parser = {
        .options = options,
        .parser = parse_option,
        .args_doc = "[NAME[:VERSION]...]",
        .doc = "Read the files of models and check that they are what was registered.\v"
               "Without a NAME, all of them, and that the database hangs together and nothing lies about.\n\n"
               "Exit status: 0; 2 usage; 3 something is damaged; 138 others have held the registry for too "
               "long; 1 "
               "anything else."};
    static models_options o;
    parse(&parser, argc, argv, 0, REFERENCES_MAX, &o);
    return registry_command_run(argv[0], &o.common, REGISTRY_MUST_EXIST, verify, &o);
}

int models_main(int argc, char **argv)
{
    static const command commands[] = {
        {"register", "penstock models register", "Keep a trained model as a new version", register_main},
        {"list", "penstock models list", "List models and their versions", list_main},
        {"show", "penstock models show", "Show one: its files, and where it comes from", show_main},
        {"download", "penstock models download", "Copy one to a new folder, checked", download_main},
        {"rm", "penstock models rm", "Remove versions", remove_main},
        {"verify", "penstock models verify", "Check that all is what was registered", verify_main},
    };
    static const command_table table = {"penstock models",
                                        "Keep trained models: names, versions, files, lineage.", commands,
                                        sizeof commands / sizeof commands[0]};
    return command_table_run(&table, argc, argv);
}
