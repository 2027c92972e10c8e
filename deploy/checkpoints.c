/* checkpoints.c - `penstock checkpoints`: what is in a folder of checkpoints, for people and for scripts.
 *
 * Reads and removes; writing is the ps's (common/checkpoint.h). */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checkpoint.h"
#include "common/json.h"
#include "common/options.h"
#include "deploy/command_end.h"
#include "deploy/commands.h"

typedef enum { ACTION_NONE, ACTION_LIST, ACTION_VERIFY, ACTION_REMOVE } action;

typedef struct {
    action action;
    const char *folder;
    uint64_t steps[CHECKPOINT_CUTS_MAX]; /* to be removed */
    uint32_t step_count;
    bool json;
} checkpoints_options;

/* ---- options ---- */

enum { KEY_JSON = 256 };

static const struct argp_option option_list[] = {
    {"json", KEY_JSON, NULL, 0, "Print JSON instead of a table", 0}, {0}};

static void parse_action(const char *text, checkpoints_options *o, struct argp_state *state)
{
    static const char *const names[] = {
        [ACTION_LIST] = "list", [ACTION_VERIFY] = "verify", [ACTION_REMOVE] = "rm"};
    for (action a = ACTION_LIST; a <= ACTION_REMOVE; a++)
        if (strcmp(names[a], text) == 0)
            o->action = a;
    if (o->action == ACTION_NONE)
        argp_error(state, "'%s' is none of list, verify, rm", text);
}

static void parse_step(const char *text, checkpoints_options *o, struct argp_state *state)
{
    ps_error error;
    if (o->action != ACTION_REMOVE)
        argp_error(state, "'%s' is one argument too many", text);
    if (o->step_count == CHECKPOINT_CUTS_MAX)
        argp_error(state, "more than %d steps", CHECKPOINT_CUTS_MAX);
    if (option_unsigned("STEP", text, 1, UINT64_MAX, &o->steps[o->step_count++], &error) != PS_OK)
        argp_error(state, "STEP: '%s' is not a whole number from 1 on", text);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    checkpoints_options *o = state->input;
    switch (key) {
    case KEY_JSON:
        o->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->action == ACTION_NONE)
            parse_action(argument, o, state);
        else if (!o->folder)
            o->folder = argument;
        else
            parse_step(argument, o, state);
        return 0;
    case ARGP_KEY_END:
        if (o->action == ACTION_NONE)
            argp_error(state, "what to do is missing: list, verify or rm");
        if (!o->folder || o->folder[0] == '\0')
            argp_error(state, "the folder is missing");
        if (o->action == ACTION_REMOVE && o->step_count == 0)
            argp_error(state, "the steps to be removed are missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_list,
    .parser = parse_option,
    .args_doc = "list DIR\nverify DIR\nrm DIR STEP...",
    .doc =
        "Look at the checkpoints that ps have written to DIR (penstock-ps --checkpoint-dir).\v"
        "list says of each checkpoint, newest first, whether it is whole: whether every ps has its part in "
        "it, "
        "and its manifests are undamaged. verify also reads every array and checks it. rm removes "
        "checkpoints, "
        "of all ps.\n\n"
        "Exit status: 0; 2 usage, or there is no such folder or step; 3 verify has found a checkpoint that "
        "cannot be used; 1 anything else.",
};

/* ---- output ---- */

static const char *state_of(const checkpoint_cut *c, bool verified)
{
    return !c->whole ? c->damage : verified ? "whole, verified" : "whole";
}

static void print_table(const checkpoint_cut *cuts, uint32_t count, bool verified)
{
    printf("%12s  %9s  %15s  %5s  %s\n", "step", "ps", "bytes", "final", "state");
    for (uint32_t i = 0; i < count; i++) {
        char shards[32];
        snprintf(shards, sizeof shards, cuts[i].whole ? "%u" : "%u of %u",
                 cuts[i].whole ? cuts[i].servers : cuts[i].shards, cuts[i].servers);
        printf("%12llu  %9s  %15llu  %5s  %s\n", (unsigned long long)cuts[i].step, shards,
               (unsigned long long)cuts[i].bytes, cuts[i].final ? "yes" : "no", state_of(&cuts[i], verified));
    }
}

static void print_json(const char *folder, const checkpoint_cut *cuts, uint32_t count, bool verified)
{
    printf("{\"schema\": \"penstock-checkpoints/1\", \"folder\": ");
    json_print_string(stdout, folder);
    printf(", \"verified\": %s, \"checkpoints\": [", verified ? "true" : "false");
    for (uint32_t i = 0; i < count; i++) {
        const checkpoint_cut *c = &cuts[i];
        printf("%s\n  {\"step\": %llu, \"ps\": %u, \"shards\": %u, \"bytes\": %llu, \"final\": %s, "
               "\"whole\": %s, "
               "\"damage\": ",
               i ? "," : "", (unsigned long long)c->step, c->servers, c->shards, (unsigned long long)c->bytes,
               c->final ? "true" : "false", c->whole ? "true" : "false");
        json_print_string(stdout, c->damage);
        printf("}");
    }
    printf("\n]}\n");
}

/* ---- actions ---- */

/* What is wrong with a folder that is not there is for the person to put right. */
static ps_status check_folder(const char *folder, ps_error *error)
{
    struct stat about;
    if (stat(folder, &about) != 0)
        return ps_fail(error, errno == ENOENT ? PS_EINVAL : PS_EIO, "cannot read %s: %s", folder,
                       strerror(errno));
    return S_ISDIR(about.st_mode) ? PS_OK : ps_fail(error, PS_EINVAL, "%s is no folder", folder);
}

static ps_status look(const checkpoints_options *o, ps_error *error)
{
    bool verify = o->action == ACTION_VERIFY;
    uint32_t count = 0, damaged = 0;
    checkpoint_cut *cuts = calloc(CHECKPOINT_CUTS_MAX, sizeof *cuts);
    ps_status status = cuts ? PS_OK : ps_fail(error, PS_ENOMEM, "out of memory");
    if (status == PS_OK)
        status = checkpoint_list(o->folder, verify, cuts, CHECKPOINT_CUTS_MAX, &count, error);
    if (status == PS_OK && o->json)
        print_json(o->folder, cuts, count, verify);
    else if (status == PS_OK)
        print_table(cuts, count, verify);
    for (uint32_t i = 0; i < count; i++)
        damaged += !cuts[i].whole;
    free(cuts);
    if (status == PS_OK && verify && damaged > 0)
        return ps_fail(error, PS_EFORMAT, "of %u checkpoints in %s %u cannot be used", count, o->folder,
                       damaged);
    return status;
}

static ps_status remove_steps(const checkpoints_options *o, ps_error *error)
{
    for (uint32_t i = 0; i < o->step_count; i++) {
        ps_status status = checkpoint_remove(o->folder, o->steps[i], error);
        if (status == PS_ENOENT)
            return error->status = PS_EINVAL;
        if (status != PS_OK)
            return status;
        if (!o->json)
            printf("removed the checkpoint of step %llu\n", (unsigned long long)o->steps[i]);
    }
    return PS_OK;
}

int checkpoints_main(int argc, char **argv)
{
    static checkpoints_options options;
    argp_err_exit_status = PS_EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    ps_error error;
    ps_status status = check_folder(options.folder, &error);
    if (status == PS_OK)
        status = options.action == ACTION_REMOVE ? remove_steps(&options, &error) : look(&options, &error);
    return command_end(argv[0], status, &error);
}
