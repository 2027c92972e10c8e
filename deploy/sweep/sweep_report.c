/* sweep_report.c - see sweep_report.h. */
#include "deploy/sweep/sweep_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "deploy/number_text.h"

enum {
    ROW_BYTES = SWEEP_DESCRIPTION_BYTES + SWEEP_WHY_BYTES + 128,
    NUMBER_BYTES = 32,
    QUOTED_BYTES = 6 * ROW_BYTES
};

/* ---- numbers --------------------------------------------------------------------------------------- */

static const char *percent_text(double share, char text[NUMBER_BYTES])
{
    snprintf(text, NUMBER_BYTES, isnan(share) ? "-" : "%.2f %%", 100 * share);
    return text;
}

static const char *loss_text(double loss, char text[NUMBER_BYTES])
{
    snprintf(text, NUMBER_BYTES, isnan(loss) ? "-" : "%.4f", loss);
    return text;
}

static const char *goal_text(const sweep_goal *goal, double accuracy, double loss, char text[NUMBER_BYTES])
{
    return goal->metric == SWEEP_ACCURACY ? percent_text(accuracy, text) : loss_text(loss, text);
}

/* What is known of it: the result, else the last evaluation. */
static void latest(const sweep_trial *t, double *accuracy, double *loss)
{
    *accuracy = t->accuracy;
    *loss = t->loss;
    if (t->outcome != TRIAL_FINISHED && t->curve.count > 0) {
        *accuracy = t->curve.list[t->curve.count - 1].accuracy;
        *loss = t->curve.list[t->curve.count - 1].loss;
    }
}

static unsigned epochs_of(const sweep_trial *t)
{
    return t->curve.count > 0 ? t->curve.list[t->curve.count - 1].epoch : 0;
}

/* ---- the table ------------------------------------------------------------------------------------- */

static void row_text(const sweep *s, size_t trial, char *text, size_t bytes)
{
    const sweep_trial *t = &s->trials[trial];
    char options[SWEEP_DESCRIPTION_BYTES], accuracy_text[NUMBER_BYTES], loss[NUMBER_BYTES];
    double accuracy_now, loss_now;
    latest(t, &accuracy_now, &loss_now);
    sweep_values_describe(s->space, sweep_trials_values(s->list, trial), options, sizeof options);
    snprintf(text, bytes, "%5zu  %-8s  %6u  %8s  %8s  %7.1f s  %s%s%s%s", trial + 1,
             sweep_outcome_name(t->outcome), epochs_of(t), percent_text(accuracy_now, accuracy_text),
             loss_text(loss_now, loss), t->seconds, options, t->why[0] ? " (" : "", t->why,
             t->why[0] ? ")" : "");
}

void sweep_report_head(FILE *out)
{
    fprintf(out, "%5s  %-8s  %6s  %8s  %8s  %9s  %s\n", "trial", "outcome", "epochs", "accuracy", "loss",
            "time", "options");
}

void sweep_report_row(terminal *screen, const sweep *s, size_t trial)
{
    char text[ROW_BYTES];
    row_text(s, trial, text, sizeof text);
    terminal_print(screen, "%s", text);
}

static size_t append(char *line, size_t bytes, size_t used, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static size_t append(char *line, size_t bytes, size_t used, const char *format, ...)
{
    if (used >= bytes)
        return used;
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line + used, bytes - used, format, arguments);
    va_end(arguments);
    return used + (size_t)length;
}

void sweep_report_line(const sweep *s, size_t width, char *line, size_t bytes)
{
    char text[NUMBER_BYTES];
    const size_t ended = sweep_count(s, TRIAL_FINISHED) + sweep_count(s, TRIAL_STOPPED);
    const size_t failed = sweep_count(s, TRIAL_FAILED), best = sweep_best(s);
    size_t used = append(line, bytes, 0, "%zu of %zu trials", ended + failed, s->list->count);
    if (failed > 0)
        used = append(line, bytes, used, ", %zu failed", failed);
    if (best != SWEEP_NO_TRIAL)
        used = append(line, bytes, used, "; best %zu, %s", best + 1,
                      goal_text(&s->space->goal, s->trials[best].accuracy, s->trials[best].loss, text));
    const char *before = "; now ";
    for (size_t i = 0; i < s->list->count; i++) {
        const sweep_trial *t = &s->trials[i];
        double accuracy, loss;
        if (t->outcome != TRIAL_RUNS)
            continue;
        latest(t, &accuracy, &loss);
        used = append(line, bytes, used, "%s%zu (epoch %u, %s)", before, i + 1, epochs_of(t),
                      goal_text(&s->space->goal, accuracy, loss, text));
        before = ", ";
    }
    if (width < bytes)
        line[width] = '\0';
}

/* ---- the end --------------------------------------------------------------------------------------- */

/* Those that finished by their value, then stopped, failed, and those that did not begin. */
static bool stands_before(const sweep *s, size_t a, size_t b)
{
    const sweep_trial *left = &s->trials[a], *right = &s->trials[b];
    const sweep_goal *goal = &s->space->goal;
    const int rank_a = left->outcome >= TRIAL_FINISHED ? (int)left->outcome : TRIAL_FAILED + 1;
    const int rank_b = right->outcome >= TRIAL_FINISHED ? (int)right->outcome : TRIAL_FAILED + 1;
    if (rank_a != rank_b)
        return rank_a < rank_b;
    const double value_a = sweep_goal_value(goal, left->accuracy, left->loss);
    const double value_b = sweep_goal_value(goal, right->accuracy, right->loss);
    if (sweep_goal_better(goal, value_a, value_b) || sweep_goal_better(goal, value_b, value_a))
        return sweep_goal_better(goal, value_a, value_b);
    return a < b;
}

/* By insertion: qsort's comparison has no context. */
static void rank(const sweep *s, size_t *order)
{
    for (size_t i = 0; i < s->list->count; i++) {
        size_t at = i;
        for (; at > 0 && stands_before(s, i, order[at - 1]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

ps_status sweep_report_text(FILE *out, const sweep *s, ps_error *error)
{
    const size_t best = sweep_best(s);
    char text[ROW_BYTES];
    size_t order[SWEEP_TRIALS_MAX];
    rank(s, order);
    fprintf(out, "\n");
    sweep_report_head(out);
    for (size_t i = 0; i < s->list->count; i++) {
        row_text(s, order[i], text, sizeof text);
        fprintf(out, "%s\n", text);
    }
    fprintf(out, "\n%zu finished, %zu stopped early, %zu failed, %zu not tried; %.1f s; %s\n",
            sweep_count(s, TRIAL_FINISHED), sweep_count(s, TRIAL_STOPPED), sweep_count(s, TRIAL_FAILED),
            sweep_count(s, TRIAL_WAITS), s->elapsed, s->folder);
    if (best == SWEEP_NO_TRIAL) {
        fprintf(out, "no trial has finished with a result\n");
        return PS_OK;
    }
    char trial[32];
    sweep_trial_folder(s, best, trial, sizeof trial);
    char *command = sweep_command_text(s->command, s->space, sweep_trials_values(s->list, best));
    if (!command)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    fprintf(out,
            "best trial     %zu: %s\n"
            "model          %s/best/outputs/model\n"
            "repeat it      %s\n"
            "register it    penstock models register --name NAME --path %s/%s/outputs/model\n",
            best + 1, goal_text(&s->space->goal, s->trials[best].accuracy, s->trials[best].loss, text),
            s->folder, command, s->folder, trial);
    free(command);
    return PS_OK;
}

/* ---- JSON ------------------------------------------------------------------------------------------ */

static void print_values(FILE *out, const sweep_space *space, const sweep_value *values, bool of_run)
{
    const char *before = "";
    fprintf(out, "\"%s\": {", of_run ? "run" : "training");
    for (size_t i = 0; i < space->parameter_count; i++) {
        if (space->parameters[i].of_run != of_run)
            continue;
        fprintf(out, "%s\"%s\": ", before, space->parameters[i].name);
        json_print_string(out, values[i].text);
        before = ", ";
    }
    fprintf(out, "}");
}

static void print_options(FILE *out, const sweep_space *space, const sweep_value *values)
{
    print_values(out, space, values, true);
    fprintf(out, ", ");
    print_values(out, space, values, false);
}

static void print_quoted(FILE *out, const char *text)
{
    char quoted[QUOTED_BYTES];
    json_quote(text, quoted, sizeof quoted);
    fputs(quoted, out);
}

static void print_trial(FILE *out, const sweep *s, size_t trial)
{
    const sweep_trial *t = &s->trials[trial];
    fprintf(out, "\n  {\"trial\": %zu, \"outcome\": \"%s\", ", trial + 1, sweep_outcome_name(t->outcome));
    print_options(out, s->space, sweep_trials_values(s->list, trial));
    fprintf(out, ", \"accuracy\": ");
    number_text_print(out, t->accuracy);
    fprintf(out, ", \"loss\": ");
    number_text_print(out, t->loss);
    fprintf(out, ", \"seconds\": %.3f, \"exit_code\": %d, \"why\": ", t->seconds, t->exit_code);
    print_quoted(out, t->why);
    fprintf(out, ", \"evaluations\": [");
    for (size_t i = 0; i < t->curve.count; i++) {
        fprintf(out, "%s{\"epoch\": %u, \"accuracy\": ", i > 0 ? ", " : "", t->curve.list[i].epoch);
        number_text_print(out, t->curve.list[i].accuracy);
        fprintf(out, ", \"loss\": ");
        number_text_print(out, t->curve.list[i].loss);
        fprintf(out, "}");
    }
    fprintf(out, "]}");
}

ps_status sweep_report_json(FILE *out, const sweep *s, ps_error *error)
{
    const size_t best = sweep_best(s);
    fprintf(out, "{\"schema\": \"penstock-sweep/1\",\n \"folder\": ");
    print_quoted(out, s->folder);
    fprintf(out, ", \"seed\": %" PRIu64 ", \"seconds\": %.3f,\n \"best\": ", s->command->seed, s->elapsed);
    if (best == SWEEP_NO_TRIAL) {
        fprintf(out, "null");
    } else {
        char *command = sweep_command_text(s->command, s->space, sweep_trials_values(s->list, best));
        if (!command)
            return ps_fail(error, PS_ENOMEM, "out of memory");
        fprintf(out, "{\"trial\": %zu, \"command\": ", best + 1);
        json_print_string(out, command); /* its parts are UTF-8 */
        fprintf(out, "}");
        free(command);
    }
    fprintf(out, ",\n \"trials\": [");
    for (size_t i = 0; i < s->list->count; i++) {
        fprintf(out, "%s", i > 0 ? "," : "");
        print_trial(out, s, i);
    }
    fprintf(out, "]}\n");
    return PS_OK;
}

/* ---- before it begins ------------------------------------------------------------------------------ */

void sweep_report_trials_text(FILE *out, const sweep_trials *list)
{
    char options[SWEEP_DESCRIPTION_BYTES];
    for (size_t i = 0; i < list->count; i++) {
        sweep_values_describe(list->space, sweep_trials_values(list, i), options, sizeof options);
        fprintf(out, "%5zu  %s\n", i + 1, options);
    }
}

void sweep_report_trials_json(FILE *out, const sweep_trials *list, uint64_t seed)
{
    fprintf(out, "{\"schema\": \"penstock-sweep-trials/1\", \"seed\": %" PRIu64 ",\n \"trials\": [", seed);
    for (size_t i = 0; i < list->count; i++) {
        fprintf(out, "%s\n  {\"trial\": %zu, ", i > 0 ? "," : "", i + 1);
        print_options(out, list->space, sweep_trials_values(list, i));
        fprintf(out, "}");
    }
    fprintf(out, "]}\n");
}
