/* sweep.c - `penstock sweep`: a space in, the best run out.
 *
 * What is decided here: whether a sweep begins or goes on, and its exit code. What is tried says sweep_space,
 * the list of trials sweep_trials; sweep_run carries it out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/path.h"
#include "common/status.h"
#include "deploy/command_end.h"
#include "deploy/commands.h"
#include "deploy/launch/verdict.h"
#include "deploy/runs/run_folder.h"
#include "deploy/sweep/sweep_check.h"
#include "deploy/sweep/sweep_command.h"
#include "deploy/sweep/sweep_journal.h"
#include "deploy/sweep/sweep_options.h"
#include "deploy/sweep/sweep_report.h"
#include "deploy/sweep/sweep_run.h"
#include "deploy/sweep/sweep_trials.h"

typedef struct {
    const char *title;
    sweep_options options;
    run_folder folder;
    sweep_command command;
    sweep_space *space;
    sweep_trials list;
    sweep_trial *trials;
    sweep_journal journal;
    sweep sweep;
} sitting;

/* ---- what it is ------------------------------------------------------------------------------------ */

static ps_status understand(sitting *s, ps_error *error)
{
    const sweep_options *o = &s->options;
    ps_status status =
        o->resume ? sweep_command_read(o->resume, &s->command, &s->space, error)
                  : sweep_command_make(o->space_file, o->run, o->run_count, &s->command, &s->space, error);
    if (status == PS_ENOENT)
        return PS_ECONFIG;
    if (status != PS_OK)
        return status;
    if (o->seed_given)
        s->command.seed = o->seed;
    return sweep_trials_make(s->space, s->command.seed, &s->list, error);
}

static ps_status print_trials(const sitting *s, ps_error *error)
{
    ps_status status = sweep_check(&s->command, s->space, error);
    if (status != PS_OK)
        return status;
    if (s->options.json)
        sweep_report_trials_json(stdout, &s->list, s->command.seed);
    else
        sweep_report_trials_text(stdout, &s->list);
    return PS_OK;
}

/* ---- where it is ----------------------------------------------------------------------------------- */

/* Paths that were given relative to where it began would be others. */
static ps_status check_directory(const sweep_command *kept, const char *folder, ps_error *error)
{
    char *here = getcwd(NULL, 0);
    ps_status status = PS_OK;
    if (!here || strcmp(here, kept->directory) != 0)
        status = ps_fail(error, PS_ECONFIG,
                         "the sweep in %s was begun in %s, on which its paths depend: go on with it there",
                         folder, kept->directory);
    free(here);
    return status;
}

static bool holds_sweep(const char *folder)
{
    char path[PATH_BYTES];
    return path_make(path, NULL, "%s/sweep.json", folder) == PS_OK && access(path, F_OK) == 0;
}

/* Is there a sweep already? Then it has to be this one. */
static ps_status begin_or_go_on(const sitting *s, ps_error *error)
{
    sweep_command kept = {0};
    sweep_space *space = NULL;
    if (!holds_sweep(s->folder.path))
        return sweep_command_write(&s->command, s->folder.path, error);
    ps_status status = sweep_command_read(s->folder.path, &kept, &space, error);
    if (status == PS_OK)
        status = sweep_command_compare(&kept, &s->command, s->folder.path, error);
    if (status == PS_OK)
        status = check_directory(&kept, s->folder.path, error);
    sweep_command_fini(&kept);
    free(space);
    return status;
}

static void forget_failures(sitting *s)
{
    for (size_t i = 0; i < s->list.count; i++) {
        if (s->trials[i].outcome != TRIAL_FAILED)
            continue;
        sweep_curve_fini(&s->trials[i].curve);
        s->trials[i].outcome = TRIAL_WAITS;
        s->trials[i].why[0] = '\0';
    }
}

/* What no run takes leaves no folder. The lock comes before anything is written, so that of two that begin in
 * the same folder one does. */
static ps_status open_folder(sitting *s, ps_error *error)
{
    const char *wanted = s->options.resume ? s->options.resume : s->options.sweep_dir;
    s->trials = sweep_trial_list_create(s->list.count);
    if (!s->trials)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    ps_status status = PS_OK;
    if (!wanted || !holds_sweep(wanted))
        status = sweep_check(&s->command, s->space, error);
    if (status == PS_OK)
        status = run_folder_make(&s->folder, wanted, error);
    if (status == PS_OK)
        status = sweep_journal_open(s->folder.path, &s->journal, error);
    if (status == PS_OK)
        status = begin_or_go_on(s, error);
    if (status == PS_OK)
        status = sweep_journal_read(&s->journal, s->trials, s->list.count, &s->sweep.elapsed, error);
    if (status == PS_OK && s->options.retry_failed)
        forget_failures(s);
    return status;
}

/* ---- carried out ----------------------------------------------------------------------------------- */

static void say_what_begins(const sitting *s)
{
    const size_t waiting = sweep_count(&s->sweep, TRIAL_WAITS);
    if (s->options.quiet)
        return;
    printf("%zu trials, %zu of them to be tried, %zu at a time; all in %s\n", s->list.count, waiting,
           s->options.parallel, s->folder.path);
    sweep_report_head(stdout);
    fflush(stdout);
}

static ps_status report(const sitting *s, ps_error *error)
{
    return s->options.json ? sweep_report_json(stdout, &s->sweep, error)
                           : sweep_report_text(stdout, &s->sweep, error);
}

/* Leaves the exit code in `*code`, unless it fails. */
static ps_status carry_out(sitting *s, int *code, ps_error *error)
{
    ps_status status = open_folder(s, error);
    if (status != PS_OK)
        return status;
    s->sweep = (sweep){.title = s->title,
                       .folder = s->folder.path,
                       .command = &s->command,
                       .space = s->space,
                       .list = &s->list,
                       .trials = s->trials,
                       .parallel = s->options.parallel,
                       .events = s->options.events,
                       .quiet = s->options.quiet,
                       .elapsed = s->sweep.elapsed};
    say_what_begins(s);
    status = sweep_run(&s->sweep, &s->journal, error);
    if (status == PS_OK && s->sweep.ending_signal == 0)
        status = report(s, error);
    *code = s->sweep.ending_signal ? SIGNAL_EXIT_BASE + s->sweep.ending_signal
            : s->sweep.gave_up || sweep_best(&s->sweep) == SWEEP_NO_TRIAL ? PS_EXIT_FAILURE
                                                                          : PS_EXIT_DONE;
    return status;
}

int sweep_main(int argc, char **argv)
{
    sitting s = {.title = argv[0], .journal = {.fd = -1}};
    ps_error error;
    int code = PS_EXIT_DONE;
    sweep_options_parse(argc, argv, &s.options);
    ps_status status = understand(&s, &error);
    if (status == PS_OK)
        status = s.options.dry_run ? print_trials(&s, &error) : carry_out(&s, &code, &error);
    const int end = command_end(argv[0], status, &error);
    sweep_journal_close(&s.journal);
    sweep_trial_list_destroy(&s.trials, s.list.count);
    sweep_trials_fini(&s.list);
    sweep_command_fini(&s.command);
    free(s.space);
    return status == PS_OK && code != PS_EXIT_DONE ? code : end;
}
