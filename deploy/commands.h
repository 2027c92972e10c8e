/* commands.h - the subcommands of `penstock`: each is a `main` of its own, in a file of its own name. */
#ifndef PENSTOCK_DEPLOY_COMMANDS_H
#define PENSTOCK_DEPLOY_COMMANDS_H

/* Measure: bench.c. Returns only if it cannot. */
int bench_main(int argc, char **argv);

/* Train on this machine under faults: chaos.c. Likewise. */
int chaos_main(int argc, char **argv);

/* Orders to a running job: admin/admin.c. Returns the exit code. */
int admin_main(int argc, char **argv);

/* The checkpoints in a folder: checkpoints.c. Returns the exit code. */
int checkpoints_main(int argc, char **argv);

/* MNIST, downloaded and checked: fetch_mnist.c. Returns only if it cannot. */
int fetch_mnist_main(int argc, char **argv);

/* What a trained model says of images: predict.c. Returns only if it cannot. */
int predict_main(int argc, char **argv);

/* A trained model behind HTTP: serve.c. Likewise. */
int serve_main(int argc, char **argv);

/* A trained model in formats of others: export.c. Returns the exit code. */
int export_main(int argc, char **argv);

/* Models that are kept: models.c. Returns the exit code. */
int models_main(int argc, char **argv);

/* Where a worker can compute here: devices.c. Returns only if it cannot. */
int devices_main(int argc, char **argv);

/* Keys for a cluster: keygen.c. Returns the exit code. */
int keygen_main(int argc, char **argv);

/* Train on this machine: run.c. Returns the exit code; argv[0] is "penstock run". */
int run_main(int argc, char **argv);

/* A cluster on hosts: hosts.c. Returns the exit code. */
int hosts_main(int argc, char **argv);

/* Train again and again with different options: sweep.c. Returns the exit code. */
int sweep_main(int argc, char **argv);

/* Runs, past and present: runs.c. Likewise. */
int runs_main(int argc, char **argv);

/* How many ps a job needs, and how long its steps will take: plan.c. Likewise. */
int plan_main(int argc, char **argv);

/* One trace of the parts that processes have left: trace.c. Returns the exit code. */
int trace_main(int argc, char **argv);
/* How a training goes: status.c. Returns the exit code. */
int status_main(int argc, char **argv);

/* Runs in a browser: ui.c. Returns the exit code. */
int ui_main(int argc, char **argv);

/* Simulate clusters under faults: sim.c. Returns only if it cannot. */
int sim_main(int argc, char **argv);

/* A job that a file describes: submit.c. Returns the exit code. */
int submit_main(int argc, char **argv);

#endif
