// Whether manifests are what Kubernetes, the engines and our programs take.
//
// node check.js MODULES BUILD_FOLDER RENDERED.yaml...   each file a whole cluster, as `kubectl kustomize` and `helm
// template` render it. MODULES: a node_modules with kubernetes-types, typescript, yaml, ajv. Also plants mistakes into
// copies of them, which must all be found. Exit code 1: something is wrong, or a mistake was not found.
"use strict";
const fs = require("fs");
const path = require("path");
const { TypeChecker } = require("./types.js");
const { check } = require("./relations.js");

// Changes: in a document of this kind, at this place, this value instead; and what is to find it.
const POD = "spec.template.spec";
const CONTAINER = `${POD}.containers.0`;
const PLANTS = [
    { kind: "StatefulSet", at: "spec.replica", value: 2, found: "type" },
    { kind: "StatefulSet", at: "spec.replicas", value: "2", found: "type" },
    { kind: "StatefulSet", at: `${CONTAINER}.imagePullPolice`, value: "Always", found: "type" },
    { kind: "StatefulSet", at: `${CONTAINER}.livenessProbe.httpGet.pass`, value: "/livez", found: "type" },
    { kind: "StatefulSet", at: `${POD}.securityContext.runAsUser`, value: "65532", found: "type" },
    { kind: "Job", at: `${POD}.containers.0.env.0.value`, value: 1, found: "type" },
    { kind: "Service", at: "spec.publishNotReadyAdresses", value: true, found: "type" },
    { kind: "NetworkPolicy", at: "spec.ingress.0.ports.0.portNumber", value: 1, found: "type" },
    { kind: "PodDisruptionBudget", at: "spec.minAvailable", value: true, found: "type" },
    { kind: "TFJob", at: "spec.runPolicy.cleanPodPolicy", value: "Never", found: "type" },
    { kind: "TFJob", at: "spec.cleanPodPolicy", value: "All", found: "type" },
    { kind: "TFJob", at: "spec.tfReplicaSpecs.PS.template.spec.containers.0.command", value: "penstock-ps", found: "type" },
    { kind: "JobSet", at: "spec.replicatedJobs.0.template.spec.completion", value: 1, found: "type" },
    { kind: "JobSet", at: "spec.failurePolicy.maxRestarts", value: "3", found: "type" },
    { kind: "Job", at: "spec.tasks.0.policies", value: [{ event: "TaskComplete", action: "CompleteJob" }], found: "type" },
    { kind: "ServiceMonitor", at: "spec.endpoints.0.intervall", value: "15s", found: "type" },
    { kind: "StatefulSet", at: "spec.replicas", value: 3, found: "relation" },
    { kind: "StatefulSet", at: "spec.serviceName", value: "another", found: "relation" },
    { kind: "StatefulSet", at: `${CONTAINER}.args.3`, value: "--memory-limit=512", found: "relation" },
    { kind: "StatefulSet", at: `${CONTAINER}.args.0`, value: "--checkpoint-folder=/store", found: "relation" },
    { kind: "StatefulSet", at: `${CONTAINER}.ports.0.containerPort`, value: 2223, found: "relation" },
    { kind: "StatefulSet", at: `${CONTAINER}.ports.1.containerPort`, value: 8081, found: "relation" },
    { kind: "StatefulSet", at: `${CONTAINER}.env.0.name`, value: "PENSTOCK_KEYS", found: "relation" },
    { kind: "StatefulSet", at: `${POD}.terminationGracePeriodSeconds`, value: 20, found: "relation" },
    { kind: "StatefulSet", at: `${POD}.topologySpreadConstraints.0.labelSelector.matchLabels.app`, value: "x", found: "relation" },
    { kind: "StatefulSet", at: "spec.template.metadata.labels.app", value: "x", found: "nowhere" },
    { kind: "Job", at: "spec.completions", value: 4, found: "relation" },
    { kind: "Service", at: "spec.selector.app", value: "penstock", found: "relation" },
    { kind: "NetworkPolicy", at: "spec.ingress.0.ports.0.port", value: 2223, found: "relation" },
    { kind: "TFJob", at: "spec.tfReplicaSpecs.PS.template.spec.containers.0.ports.0.containerPort", value: 2223, found: "relation" },
];

// A copy of the documents with the mistake in it; null if there is no place for it.
function plant(documents, { kind, at, value }) {
    const copy = JSON.parse(JSON.stringify(documents));
    const keys = at.split(".");
    const last = keys.pop();
    for (const document of copy.filter((d) => d.kind === kind)) {
        const parent = keys.reduce((node, key) => (node ? node[key] : undefined), document);
        if (parent === undefined) continue;
        parent[last] = value;
        return copy;
    }
    return null;
}

function main([modules, build, ...files]) {
    const yaml = require(path.join(modules, "yaml"));
    const programs = {
        "penstock-ps": path.join(build, "ps/penstock-ps"),
        "penstock-worker": path.join(build, "worker/penstock-worker"),
        penstock: path.join(build, "deploy/penstock"),
    };
    const clusters = files.map((file) =>
        yaml
            .parseAllDocuments(fs.readFileSync(file, "utf8"), { version: "1.1" }) // as Kubernetes reads it: 0400 is octal
            .map((document) => document.toJS())
            .filter(Boolean),
    );
    const planted = PLANTS.map((mistake) => {
        const found = clusters.map((documents) => plant(documents, mistake)).find(Boolean);
        if (!found) throw new Error(`there is no place for the mistake in ${mistake.kind}.${mistake.at}`);
        return found;
    });
    const types = new TypeChecker(modules).check([...clusters, ...planted]);
    let wrong = 0;
    const say = (text) => {
        console.log(text);
        wrong++;
    };
    clusters.forEach((documents, i) => {
        for (const problem of [...types[i], ...check(documents, programs)]) say(`${path.basename(files[i])}: ${problem}`);
    });
    PLANTS.forEach((mistake, i) => {
        const name = `${mistake.kind}.${mistake.at} = ${JSON.stringify(mistake.value)}`;
        const typed = types[clusters.length + i].length > 0;
        const related = typed || check(planted[i], programs).length > 0;
        if (typed !== (mistake.found === "type") || related !== (mistake.found !== "nowhere"))
            say(`${name}: is to be found by ${mistake.found}, but is ${typed ? "by type" : related ? "by relation" : "nowhere"}`);
    });
    console.log(`${clusters.length} clusters, ${PLANTS.length} planted changes: ${wrong} problems`);
    process.exitCode = wrong > 0 ? 1 : 0;
}

main(process.argv.slice(2));
