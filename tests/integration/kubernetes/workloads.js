// The pods that rendered documents make, whatever the engine: for each task that the engine starts, its pod, and what
// the engine gives it by itself - its host's name, TF_CONFIG, its index.
"use strict";

const NAMESPACE = "trial";

// {type: "ps" or "worker", count, template, kind, extra(index): environment}
function fromStatefulSet(set) {
    return {
        type: typeOf(set.spec.template),
        kind: "StatefulSet",
        count: set.spec.replicas,
        template: set.spec.template,
        hostOf: (i) => `${set.metadata.name}-${i}.${set.spec.serviceName}`,
        extra: (i) => ({ HOSTNAME: `${set.metadata.name}-${i}` }),
    };
}

function fromJob(name, spec, subdomain) {
    return {
        type: typeOf(spec.template),
        kind: "Job",
        count: spec.completions,
        template: spec.template,
        policy: spec.podFailurePolicy,
        hostOf: (i) => `${name}-${i}.${subdomain}`,
        extra: (i) => ({ HOSTNAME: `${name}-${i}`, JOB_COMPLETION_INDEX: `${i}` }),
    };
}

function fromJobSet(set) {
    return set.spec.replicatedJobs.map((job) =>
        fromJob(`${set.metadata.name}-${job.name}-0`, job.template.spec, set.spec.network.subdomain),
    );
}

// Only in a container of this name, with the port of this name; the newer form, which lists all.
function fromTFJob(job) {
    const replicas = Object.entries(job.spec.tfReplicaSpecs);
    const addresses = {};
    for (const [name, { replicas: count, template }] of replicas) {
        const container = template.spec.containers.find((c) => c.name === "tensorflow");
        const port = container.ports.find((p) => p.name === "tfjob-port").containerPort;
        const type = name.toLowerCase();
        addresses[type] = upTo(count).map((i) => `${job.metadata.name}-${type}-${i}.${NAMESPACE}.svc:${port}`);
    }
    return replicas.map(([name, { replicas: count, template }]) => {
        const type = name.toLowerCase();
        return {
            type: typeOf(template),
            kind: "TFJob",
            count,
            template,
            hostOf: (i) => addresses[type][i].split(":")[0],
            extra: (i) => ({
                HOSTNAME: `${job.metadata.name}-${type}-${i}`,
                TF_CONFIG: JSON.stringify({
                    cluster: job.spec.enableDynamicWorker ? sparse(addresses, type, i) : addresses,
                    task: { type, index: i },
                    environment: "cloud",
                }),
            }),
        };
    });
}

// What enableDynamicWorker shows to one task: of its own type itself alone.
function sparse(addresses, type, i) {
    const own = { [i]: addresses[type][i] };
    return type === "ps" ? { ps: [addresses.ps[i]], worker: {} } : { ps: addresses.ps, [type]: own };
}

function fromVolcano(job) {
    const port = Number(job.spec.plugins.tensorflow.find((a) => a.startsWith("--port=")).slice("--port=".length));
    const host = (task, i) => `${job.metadata.name}-${task}-${i}.${job.metadata.name}`;
    const cluster = {};
    for (const { name, replicas } of job.spec.tasks) cluster[name] = upTo(replicas).map((i) => `${host(name, i)}:${port}`);
    return job.spec.tasks.map(({ name, replicas, template }) => ({
        type: typeOf(template),
        kind: "Volcano's Job",
        count: replicas,
        template,
        hostOf: (i) => host(name, i),
        extra: (i) => ({
            HOSTNAME: `${job.metadata.name}-${name}-${i}`,
            TF_CONFIG: JSON.stringify({ cluster, task: { type: name, index: i } }),
        }),
    }));
}

function typeOf(template) {
    return template.metadata.labels["app.kubernetes.io/component"];
}

function upTo(count) {
    return [...Array(count).keys()];
}

function workloadsOf(documents) {
    return documents.flatMap((d) => {
        if (d.kind === "StatefulSet") return [fromStatefulSet(d)];
        if (d.kind === "TFJob") return fromTFJob(d);
        if (d.kind === "JobSet") return fromJobSet(d);
        if (d.kind === "Job" && d.apiVersion.startsWith("batch.volcano.sh/")) return fromVolcano(d);
        if (d.kind === "Job") return [fromJob(d.metadata.name, d.spec, d.spec.template.spec.subdomain)];
        return [];
    });
}

module.exports = { workloadsOf, upTo };
