// What no schema sees: whether the documents of a cluster fit each other, and the programs in its containers.
"use strict";
const { spawnSync } = require("child_process");
const { workloadsOf, upTo } = require("./workloads.js");

// Seconds that a ps takes beyond --stop-secs: the last answers, and words of farewell (ps/server.c).
const AFTER_STOP_S = 6;
const EXIT_FINAL = [1, 2, 3];
const NOT_OURS = ["CUDA_CACHE_PATH"];

// What is wrong with the documents of a cluster; `programs`: by name, where they lie.
function check(documents, programs) {
    const problems = [];
    const say = (where, text) => problems.push(`${where}: ${text}`);
    const pods = workloadsOf(documents);
    if (!pods.some((p) => p.type === "ps") || !pods.some((p) => p.type === "worker"))
        say("cluster", "there are no ps, or no workers");
    const workers = pods.filter((p) => p.type === "worker").reduce((sum, p) => sum + p.count, 0);
    for (const d of documents) checkSelectors(d, documents, pods, say);
    for (const pod of pods) {
        const where = `${pod.kind}, ${pod.type}`;
        const all = [...(pod.template.spec.initContainers || []), ...pod.template.spec.containers];
        checkPod(pod, documents, (text) => say(where, text));
        for (const container of all) checkContainer(container, pod, workers, programs, (text) => say(`${where}, ${container.name}`, text));
        checkTask(pod, pods, programs, (text) => say(where, text));
    }
    return problems;
}

// ---- selectors and ports ----

const matches = (selector, labels) => Object.entries(selector || {}).every(([key, value]) => labels[key] === value);

const portsOf = (pod) => pod.template.spec.containers.flatMap((c) => c.ports || []);

function checkSelectors(d, documents, pods, say) {
    const where = `${d.kind} ${d.metadata.name}`;
    const selected = (selector) => pods.filter((p) => matches(selector, p.template.metadata.labels));
    const expectSome = (list) => list.length > 0 || say(where, "its selector finds nothing");
    if (d.kind === "Service") {
        expectSome(selected(d.spec.selector));
        for (const pod of selected(d.spec.selector))
            for (const { port, targetPort } of d.spec.ports)
                if (!portsOf(pod).some((p) => p.name === targetPort && p.containerPort === port))
                    say(where, `port ${targetPort} (${port}) is none of ${pod.type}`);
        if (d.spec.clusterIP !== "None" || !d.spec.publishNotReadyAddresses)
            say(where, "it must be headless, and know pods that are not ready");
    } else if (d.kind === "PodDisruptionBudget") {
        expectSome(selected(d.spec.selector.matchLabels));
    } else if (d.kind === "StatefulSet") {
        if (!matches(d.spec.selector.matchLabels, d.spec.template.metadata.labels)) say(where, "its selector is not that of its pods");
        if (d.spec.podManagementPolicy !== "Parallel") say(where, "its pods would wait for each other");
        if (!documents.some((s) => s.kind === "Service" && s.metadata.name === d.spec.serviceName)) say(where, "its service is missing");
    } else if (d.kind === "NetworkPolicy") {
        expectSome(selected(d.spec.podSelector.matchLabels));
        const open = d.spec.ingress.flatMap((rule) => rule.ports.map((p) => p.port));
        for (const pod of selected(d.spec.podSelector.matchLabels))
            for (const { containerPort } of portsOf(pod))
                if (!open.includes(containerPort)) say(where, `port ${containerPort} of ${pod.type} is closed to all`);
        for (const rule of d.spec.ingress)
            for (const peer of rule.from.filter((p) => p.podSelector)) expectSome(selected(peer.podSelector.matchLabels));
    } else if (d.kind === "ServiceMonitor") {
        const services = documents.filter((s) => s.kind === "Service" && matches(d.spec.selector.matchLabels, s.metadata.labels));
        expectSome(services);
        for (const pod of pods)
            if (!pod.template.spec.containers[0].args.some((o) => o === "--http-open" || o.startsWith("--http-token-file=")))
                say(where, `${pod.type} shows it nothing`);
        for (const { port } of d.spec.endpoints)
            if (!services.every((s) => s.spec.ports.some((p) => p.name === port))) say(where, `port ${port} is none of its service`);
    }
}

// ---- a pod ----

function checkPod(pod, documents, say) {
    const { spec } = pod.template;
    const context = spec.securityContext || {};
    if (!context.runAsNonRoot || !(context.runAsUser > 0) || (context.seccompProfile || {}).type !== "RuntimeDefault")
        say("it may do more than it must");
    for (const { labelSelector } of spec.topologySpreadConstraints || [])
        if (!matches(labelSelector.matchLabels, pod.template.metadata.labels)) say("it is to be apart from others than its like");
    if (spec.automountServiceAccountToken !== false) say("it is given a token that it has no use for");
    for (const volume of spec.volumes) {
        const claim = volume.persistentVolumeClaim;
        const known = (d) => d.kind === "PersistentVolumeClaim" && d.metadata.name === claim.claimName;
        if (claim && !claim.readOnly && !documents.some(known)) say(`the claim ${claim.claimName} is missing`);
        if (volume.secret && (volume.secret.defaultMode !== 0o400 || !context.fsGroup))
            say(`the files of ${volume.name} would be refused, or not be readable`);
    }
    const failing = (pod.policy ? pod.policy.rules : []).filter((rule) => rule.onExitCodes);
    for (const { action, onExitCodes } of failing)
        if (action !== "FailJob" || `${onExitCodes.values}` !== `${EXIT_FINAL}` || !spec.containers.some((c) => c.name === onExitCodes.containerName))
            say("its policy for failures is not that of our exit codes");
    if (pod.kind === "Job" && (failing.length === 0 || spec.restartPolicy !== "Never")) say("a failure that is final is not");
}

// ---- a container ----

const valueOf = (container, option) =>
    (container.args || []).filter((a) => a.startsWith(`--${option}=`)).map((a) => a.slice(option.length + 3)).pop();

const MEBIBYTES = { Mi: 1, Gi: 1024 };
const mebibytes = (quantity) => parseFloat(quantity) * MEBIBYTES[quantity.slice(-2)];

function checkContainer(container, pod, workers, programs, say) {
    const context = container.securityContext || {};
    if (context.allowPrivilegeEscalation !== false || !context.readOnlyRootFilesystem || `${context.capabilities.drop}` !== "ALL")
        say("it may do more than it must");
    if (!container.resources.requests || !container.resources.limits.memory) say("it says not what it takes");
    const volumes = pod.template.spec.volumes.map((v) => v.name);
    for (const { name } of container.volumeMounts) if (!volumes.includes(name)) say(`the volume ${name} is missing`);
    checkEnvironment(container, pod, programs, say);
    const port = (name) => (container.ports || []).find((p) => p.name === name);
    const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe].filter(Boolean);
    if (container.ports && probes.length !== 3) say("it has not every probe");
    for (const { httpGet } of probes)
        if (!port(httpGet.port) || !["/livez", "/readyz"].includes(httpGet.path)) say(`a probe asks ${httpGet.port}${httpGet.path}`);
    if (container.ports && `${port("http").containerPort}` !== valueOf(container, "http-port")) say("HTTP is on another port");
    if (container.ports && valueOf(container, "http-address") !== "0.0.0.0") say("HTTP is on loopback, where no probe comes");
    const stop = valueOf(container, "stop-secs");
    if (stop && pod.template.spec.terminationGracePeriodSeconds < Number(stop) + AFTER_STOP_S) say("it is killed before it is done");
    const shard = valueOf(container, "memory-limit");
    // It counts two copies of the weights or more; a third and a gradient of each worker are beside them (deploy/plan/cost_model.h).
    if (shard && ((3 + workers) / 2) * shard > mebibytes(container.resources.limits.memory))
        say("--memory-limit leaves no room for gradients");
    if (pod.kind === "StatefulSet" && !container.args.includes("--linger")) say("it would be started again for ever");
}

const answers = new Map(); // the same question is asked in many clusters

function run(container, programs, args, env) {
    const [name, ...command] = container.command;
    if (!programs[name]) return { status: -1, output: `'${name}' is no program of ours` };
    const question = JSON.stringify([name, command, args, env]);
    if (!answers.has(question)) {
        const { status, stdout, stderr } = spawnSync(programs[name], [...command, ...args], { env, encoding: "utf8" });
        answers.set(question, { status, output: stdout + stderr });
    }
    return answers.get(question);
}

function checkEnvironment(container, pod, programs, say) {
    const help = run(container, programs, ["--help"], {}).output;
    for (const { name } of container.env || [])
        if (!help.includes(name) && !NOT_OURS.includes(name)) say(`${name} is no variable of ${container.command.join(" ")}`);
    const keys = (container.env || []).find((e) => e.name === "PENSTOCK_CURVE_KEYS");
    const mount = keys && container.volumeMounts.find((m) => m.mountPath === keys.value);
    if (keys && !pod.template.spec.volumes.some((v) => v.secret && mount && v.name === mount.name)) say("its keys are no secret");
}

// ---- the tasks: what the program itself makes of what it is told ----

function checkTask(pod, pods, programs, say) {
    const container = pod.template.spec.containers[0];
    const told = Object.fromEntries((container.env || []).map((e) => [e.name, e.value]));
    const servers = pods.find((p) => p.type === "ps");
    for (const index of upTo(pod.count)) {
        const env = { ...told, ...pod.extra(index) };
        const { status, output } = run(container, programs, [...(container.args || []), "--check-config"], env);
        const lines = output.split("\n").map((line) => line.trim().replace(/ +/g, " "));
        if (status !== 0) {
            say(`${container.command.join(" ")} ends with ${status}: ${output}`);
            continue;
        }
        if (!lines.includes(`task ${pod.type}/${index}`)) say(`it is not ${pod.type}/${index}, but: ${output}`);
        // enableDynamicWorker shows a ps no other.
        const seen = pod.type === "ps" && env.TF_CONFIG && /"worker":\{\}/.test(env.TF_CONFIG) ? [index] : upTo(servers.count);
        for (const i of seen) {
            const ports = portsOf(servers).filter((p) => lines.includes(`ps/${i} ${servers.hostOf(i)}:${p.containerPort}`));
            if (ports.length !== 1) say(`ps/${i} is not at ${servers.hostOf(i)} and a port of its, but: ${output}`);
        }
        const workers = pods.find((p) => p.type === "worker").count;
        const others = lines.filter((l) => l.startsWith("worker/")).length;
        const number = valueOf(container, "workers");
        if (pod.type === "worker" && Number(number || others) !== workers) say(`it knows of ${number || others} workers, not ${workers}`);
    }
}

module.exports = { check };
