/* Cluster specs with jobs that cannot be: empty, sparse where they must not be, without anybody who trains.
 */
#include "tests/unit/malformed_spec.h"

static const malformed_spec table[] = {
    {.name = "a job that is a string",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': 'a:1', 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps must be a list of addresses or an object from index to address, not a "
              "string"},
    {.name = "a job that is null",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': null, 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error =
         "TF_CONFIG: cluster.ps must be a list of addresses or an object from index to address, not null"},
    {.name = "an empty ps list",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': [], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps is empty; name its tasks or remove the key"},
    {.name = "an empty worker list",
     .daemon = ROLE_PS,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': []}, 'task': {'type': 'ps', 'index': 0}}",
     .error = "TF_CONFIG: cluster.worker is empty; name its tasks or remove the key"},
    {.name = "an empty worker list for a further ps",
     .daemon = ROLE_PS,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': []}, 'task': {'type': 'ps', 'index': 1}}",
     .error = "TF_CONFIG: cluster.worker is empty; name its tasks or remove the key"},
    {.name = "an empty chief",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1'], 'chief': []}, 'task': {'type': 'worker', "
                  "'index': 0}}",
     .error = "TF_CONFIG: cluster.chief is empty; name its tasks or remove the key"},
    {.name = "an empty evaluator in a sparse cluster",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': {'1': 'b:1'}, 'evaluator': {}}, 'task': {'type': "
                  "'worker', 'index': 1}}",
     .error = "TF_CONFIG: cluster.evaluator is empty; name its tasks or remove the key"},
    {.name = "no ps for a worker",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: the cluster has no ps; worker 0 needs at least one"},
    {.name = "no ps for a chief",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'chief': ['b:1']}, 'task': {'type': 'chief', 'index': 0}}",
     .error = "TF_CONFIG: the cluster has no ps; chief 0 needs at least one"},
    {.name = "no ps for an evaluator",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'worker': ['b:1']}, 'task': {'type': 'evaluator', 'index': 0}}",
     .error = "TF_CONFIG: the cluster has no ps; evaluator 0 needs at least one"},
    {.name = "no ps in a sparse cluster",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': {}, 'worker': {'1': 'b:1'}}, 'task': {'type': 'worker', 'index': 1}}",
     .error = "TF_CONFIG: the cluster has no ps; worker 1 needs at least one"},
    {.name = "ps with a gap for a worker",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': {'0': 'a:1', '2': 'c:1'}, 'worker': ['b:1']}, 'task': {'type': "
                  "'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps has gaps below index 2; worker 0 needs every ps"},
    {.name = "nobody who would train",
     .daemon = ROLE_PS,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'evaluator': ['b:1']}, 'task': {'type': 'ps', 'index': 0}}",
     .error = "TF_CONFIG: the cluster has no worker and no chief, so nobody would train"},
    {.name = "nobody who trains for an evaluator",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1']}, 'task': {'type': 'evaluator', 'index': 0}}",
     .error = "TF_CONFIG: the cluster has no worker and no chief, so nobody would train"},
    {.name = "two chiefs",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'chief': ['b:1', 'c:1']}, 'task': {'type': 'chief', 'index': 0}}",
     .error = "TF_CONFIG: cluster.chief has 2 tasks; a cluster has at most one chief"},
    {.name = "two masters",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'master': ['b:1', 'c:1']}, 'task': {'type': 'master', 'index': 0}}",
     .error = "TF_CONFIG: cluster.master has 2 tasks; a cluster has at most one chief"},
    {.name = "a chief and a master",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'chief': ['b:1'], 'master': ['c:1']}, 'task': {'type': "
                  "'chief', 'index': 0}}",
     .error = "TF_CONFIG: cluster.chief and cluster.master are the same job; keep one of them"},
    {.name = "a chief under another index",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['c:1'], 'chief': {'1': 'b:1'}}, 'task': {'type': "
                  "'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.chief has index 1; the one chief has index 0"},
    {.name = "a key that is a word",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': {'first': 'b:1'}}, 'task': {'type': 'worker', 'index': 0}}",
     .error =
         "TF_CONFIG: cluster.worker[\"first\"]: the key must be an index from 0 to 1023 in plain digits"},
    {.name = "a key with a leading zero",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': {'00': 'b:1'}}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.worker[\"00\"]: the key must be an index from 0 to 1023 in plain digits"},
    {.name = "a negative key",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': {'-1': 'b:1'}}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.worker[\"-1\"]: the key must be an index from 0 to 1023 in plain digits"},
    {.name = "a key too large",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': {'1024': 'b:1'}}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.worker[\"1024\"]: the key must be an index from 0 to 1023 in plain digits"},
    {.name = "a bare chief of the Kubeflow operator",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'worker': {}, 'ps': []}, 'task': {'type': 'chief', 'index': 0}}",
     .error =
         "TF_CONFIG: worker and ps are empty: with enableDynamicWorker the Kubeflow operator tells chief and "
         "evaluator nothing (a known bug); turn that off, or run without them (worker 0 is chief then)"},
    {.name = "a bare evaluator of the Kubeflow operator",
     .daemon = ROLE_WORKER,
     .tf_config = "{'sparseCluster': {'worker': {}, 'ps': []}, 'task': {'type': 'evaluator', 'index': 0}}",
     .error =
         "TF_CONFIG: worker and ps are empty: with enableDynamicWorker the Kubeflow operator tells chief and "
         "evaluator nothing (a known bug); turn that off, or run without them (worker 0 is chief then)"},
    {.name = "the view of another worker",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'sparseCluster': {'worker': {'2': 'b:1'}, 'ps': ['a:1']}, 'task': {'type': 'worker', 'index': 1}}",
     .error = "TF_CONFIG: this task is worker 1, but sparseCluster.worker has no key \"1\""},
};

int main(void)
{
    return malformed_spec_run(table, sizeof table / sizeof *table);
}
