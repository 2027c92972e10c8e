/* sweep_options.c - see sweep_options.h. */
#include "deploy/sweep/sweep_options.h"

#include <argp.h>

#include "common/json.h"
#include "deploy/launch/run_options.h"
#include "deploy/sweep/sweep_state.h"

enum {
    KEY_PARALLEL = 256,
    KEY_SEED,
    KEY_DIR,
    KEY_RESUME,
    KEY_RETRY,
    KEY_EVENTS,
    KEY_DRY_RUN,
    KEY_JSON,
};

static const struct argp_option option_list[] = {
    {"parallel", KEY_PARALLEL, "N", 0, "Runs at a time, which share the processors (1)", 1},
    {"seed", KEY_SEED, "N", 0, "Instead of the space's", 1},
    {"sweep-dir", KEY_DIR, "DIR", 0,
     "Where the sweep goes (a new folder runs/YYYYMMDD-HHMMSS). One that is there already, of the same space "
     "and options, goes on",
     1},
    {"resume", KEY_RESUME, "DIR", 0, "Go on with the sweep in this folder, with what it was begun with", 1},
    {"retry-failed", KEY_RETRY, NULL, 0, "When going on, run again what has failed", 1},
    {"events", KEY_EVENTS, NULL, 0,
     "Have each run write event files: `tensorboard --logdir DIR/trials' shows all", 1},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "Check the options and print the list of trials, no more", 2},
    {"json", KEY_JSON, NULL, 0, "Print JSON at the end, and nothing before", 2},
    {"quiet", 'q', NULL, 0, "Print nothing until the end", 2},
    {0},
};

static const char documentation[] =
    "Train on this machine again and again with different options, and find the best of them."
    "\vSPACE.json says which options to try, how the values are chosen (grid or random), what is best, and "
    "when a "
    "run that is worse than others is stopped early; deploy/sweep/sweep_space.h describes it. The list of "
    "trials "
    "depends on space and seed alone. What follows the first -- are the options of `penstock run', and after "
    "a "
    "second -- those of its workers, alike in all trials.\n\n"
    "DIR/trials has the folder of each run, DIR/best is the best one; DIR/trials.jsonl says how each has "
    "ended. "
    "A sweep that was interrupted, even by kill -9, goes on with --resume DIR or the same command again: "
    "trials "
    "that have ended stand, others are run again, from their checkpoints if there are any.\n\n"
    "Exit code: 0 if a trial has finished; 1 if none has, or more have failed than may; 2 for a mistake in "
    "options "
    "or space; 128 + the number of the signal that ended the sweep.\n\n"
    "Example:\n"
    "  penstock sweep space.json --sweep-dir sweep -- --ps 2 --workers 3 -- --data-folder mnist --epochs 5";

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    sweep_options *o = state->input;
    switch (key) {
    case KEY_PARALLEL:
        o->parallel = run_options_number(state, "parallel", argument, 1, SWEEP_PARALLEL_MAX);
        return 0;
    case KEY_SEED:
        o->seed_given = true;
        o->seed = run_options_number(state, "seed", argument, 0, (uint64_t)JSON_INTEGER_MAX);
        return 0;
    case KEY_DIR:
    case KEY_RESUME:
        if (argument[0] == '\0')
            argp_error(state, "a folder with an empty name was given");
        *(key == KEY_DIR ? &o->sweep_dir : &o->resume) = argument;
        return 0;
    case KEY_RETRY:
        o->retry_failed = true;
        return 0;
    case KEY_EVENTS:
        o->events = true;
        return 0;
    case KEY_DRY_RUN:
        o->dry_run = true;
        return 0;
    case KEY_JSON:
        o->json = o->quiet = true;
        return 0;
    case 'q':
        o->quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->space_file)
            argp_error(state, "there is one space: '%s' is too much", argument);
        o->space_file = argument;
        return 0;
    case ARGP_KEY_END:
        if (!o->space_file && !o->resume)
            argp_error(state, "SPACE.json is missing, or --resume DIR");
        if (o->resume && (o->space_file || o->sweep_dir || o->seed_given || o->run_count > 0))
            argp_error(state, "--resume goes on with the space, seed and options of before; give none");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void sweep_options_parse(int argc, char **argv, sweep_options *options)
{
    static const struct argp parser = {.options = option_list,
                                       .parser = parse_one,
                                       .args_doc =
                                           "SPACE.json [-- RUN OPTIONS [-- TRAINING OPTIONS]]\n--resume DIR",
                                       .doc = documentation};
    run_options cut = {0};
    *options = (sweep_options){.parallel = 1};
    const int own = run_options_cut(argc, argv, &cut);
    options->run = cut.training;
    options->run_count = cut.training_count;
    argp_parse(&parser, own, argv, 0, NULL, options);
}
