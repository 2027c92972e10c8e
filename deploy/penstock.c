/* penstock.c - the command line for people: finds the subcommand and hands over.
 *
 * A new subcommand is a file with its `main`, a line in commands.h and a line in the table below. */
#include <stddef.h>

#include "common/first_process.h"
#include "deploy/command_table.h"
#include "deploy/commands.h"

static const command commands[] = {
    {"run", "penstock run", "Train on this machine with a cluster of local processes", run_main},
    {"hosts", "penstock hosts", "Say what to type on hosts to train there, or start it by ssh", hosts_main},
    {"status", "penstock status", "Show how a training goes: workers, ps, checkpoints, faults", status_main},
    {"admin", "penstock admin", "Have a running job keep a checkpoint, or end", admin_main},
    {"submit", "penstock submit", "Start a job that a file describes, in the background", submit_main},
    {"sweep", "penstock sweep", "Train with many combinations of options, and find the best", sweep_main},
    {"ui", "penstock ui", "Show in a browser what runs have left, and compare them", ui_main},
    {"chaos", "penstock chaos", "Train on this machine while everything fails, and compare the model",
     chaos_main},
    {"bench", "penstock bench", "Measure Penstock beside what this machine can do at best", bench_main},
    {"sim", "penstock sim", "Simulate clusters in which everything fails, thousands of schedules a minute",
     sim_main},
    {"checkpoints", "penstock checkpoints", "List, verify or remove the checkpoints in a folder",
     checkpoints_main},
    {"devices", "penstock devices", "List the processors and GPUs that a worker can compute on here",
     devices_main},
    {"keygen", "penstock keygen", "Make the keys with which a cluster's processes know each other",
     keygen_main},
    {"fetch-mnist", "penstock fetch-mnist", "Download MNIST, check it, and print its folder",
     fetch_mnist_main},
    {"plan", "penstock plan", "Say how many ps a job needs, and how long its steps will take", plan_main},
    {"predict", "penstock predict", "Say what a trained model makes of images", predict_main},
    {"trace", "penstock trace", "Make one trace of what the processes of a cluster have left", trace_main},
    {"serve", "penstock serve", "Answer over HTTP what a trained model makes of images", serve_main},
    {"export", "penstock export", "Write a trained model in a format that others read", export_main},
    {"runs", "penstock runs", "Look at runs: list, compare, follow, cancel, remove", runs_main},
    {"models", "penstock models", "Keep trained models: versions, their files, and where they come from",
     models_main},
};

const char *argp_program_version = "penstock " PENSTOCK_VERSION;

int main(int argc, char **argv)
{
    static const command_table table = {"penstock", "Penstock, a parameter server for distributed training.",
                                        commands, sizeof commands / sizeof commands[0]};
    first_process_prepare(true);
    return command_table_run(&table, argc, argv);
}
