#!/usr/bin/env python3
"""pods.py - trains as the manifests of deploy/kubernetes say, in pods made of namespaces (pod.py), and disturbs them.

    pods.py KUBECTL BUILD_FOLDER DATA_FOLDER SCRATCH_FOLDER OVERLAY...

Of each overlay, command, arguments, environment, volumes, probes and ports are taken as `kubectl kustomize`
renders them; the rest is what the engine adds. Pods start in an order in which no name resolves at first. Then
a ps is killed, a worker's pod deleted, a ps' pod deleted, and worker 0 killed, each with training going on after
the one before. In some overlays (DISTURBANCES) a ps and a worker are frozen besides, until their liveness probes have
them killed, or a node is drained on which both ps and a worker are, as the disruption budget lets them go. In the end
the engine's rule must say that the job has succeeded, every pod have ended as it should, no other liveness probe have
failed, and the model be that of `penstock run`, bit for bit, where it is determined.

Engines: only what they do to our processes is here. Of Kubeflow's operator: TF_CONFIG, and a service for each
pod, which shows it only when it is ready. Exit code: 0; 1 if not so; 77, with the reason, where it cannot run."""
import filecmp
import json
import os
import shutil
import subprocess
import sys
import threading
import time

import yaml

from pod import DOMAIN, Names, Pod

PATIENCE_S = 300  # that something broken alone reaches
PORT = 2222
NETWORKS = 17  # a pod that takes the place of another has another address

EVICTION_S = 0.5  # after which a refused eviction is tried again; kubectl drain takes ten times as long

# How, and which; what is not there is left out.
EVERYWHERE = (("kill", ("ps", 1)), ("delete", ("worker", 1)), ("delete", ("ps", 0)), ("kill", ("worker", 0)))
DISTURBANCES = {
    "statefulset": (("freeze", ("ps", 0), ("worker", 2)), *EVERYWHERE),
    "jobset": (("kill", ("ps", 1)), ("drain", ("ps", 0), ("ps", 1), ("worker", 1)), ("kill", ("worker", 0))),
}

# Not how training is computed, but where it is done.
PLACE_OPTIONS = ("--data-folder", "--output-dir", "--http-port", "--http-address", "--log-format", "--no-shared-memory",
                 "--workers", "--on-worker-loss")


class Broken(Exception):
    """What should be so is not."""


def await_that(what, condition, cluster, look_s=0.1):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        cluster.control()
        if time.monotonic() > deadline:
            raise Broken(f"waited {PATIENCE_S} s for: {what}")
        time.sleep(look_s)


class Network:
    def __init__(self, program):
        self.process = subprocess.Popen([program, str(NETWORKS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.free = []
        for _ in range(NETWORKS):
            words = self.process.stdout.readline().split()
            if len(words) != 2:
                sys.exit(self.process.wait())
            self.free.append((f"/proc/{self.process.pid}/fd/{words[0]}", words[1]))

    def take(self):
        return self.free.pop(0)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Budget:
    """Which pods may be evicted, by a PodDisruptionBudget."""

    def __init__(self, spec):
        self.at_least, self.labels = spec["minAvailable"], spec["selector"]["matchLabels"]
        self.lets_unhealthy_go = spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow"

    def covers(self, replica):
        return self.labels.items() <= replica.labels.items()

    def lets_go(self, replica, replicas):
        healthy = [r for r in replicas if self.covers(r) and r.is_up() and r.pod.ready]
        return self.lets_unhealthy_go if replica not in healthy else len(healthy) > self.at_least


class Replica:
    """A place for one pod after the other."""

    def __init__(self, cluster, role, index, name, hostname, template, names, early, restarts, variables):
        self.cluster, self.role, self.index, self.name, self.hostname = cluster, role, index, name, hostname
        self.spec, self.labels = template["spec"], template["metadata"]["labels"]
        self.names, self.early = names, early
        self.restarts, self.variables = restarts, variables
        self.pod = None
        self.pods = self.liveness_kills = 0  # pods: so many; kills: of those before the current one
        self.result = None  # the code of its end, for good

    def is_up(self):
        return self.pod is not None and self.pod.is_alive() and self.pod.started and not self.pod.deleted

    def killed_by_probes(self):
        return self.liveness_kills + self.pod.liveness_kills

    def make(self):
        self.pods += 1
        self.liveness_kills += self.pod.liveness_kills if self.pod else 0
        # ExitCode is the operator's, which starts pods anew; a Job's pods end with their container.
        kubelet = self.restarts if self.restarts in ("Always", "OnFailure") else "Never"
        self.pod = Pod(self.cluster, self.name, self.hostname, self.spec, self.variables, self.names, self.early,
                       kubelet)


class Cluster:
    """One overlay, as its engine runs it."""

    def __init__(self, kubectl, build, data, folder, overlay):
        self.build, self.data, self.folder, self.overlay = build, data, folder, overlay
        self.names = Names()
        self.network = Network(f"{build}/tests/pod_net")
        self.has_users = any(int(line.split()[2]) > 65536 for line in open("/proc/self/uid_map"))
        self.replicas, self.final_codes, self.restart_all = [], range(1, 128), False
        self.disturbed, self.frozen, self.budgets = 0, [], []
        self.lock = threading.Lock()  # pods are threads
        self.volumes = {}  # folders, by name
        manifests = subprocess.run([kubectl, "kustomize", overlay], check=True, stdout=subprocess.PIPE).stdout
        for manifest in yaml.safe_load_all(manifests):
            take = {"StatefulSet": self.take_stateful_set, "PodDisruptionBudget": self.take_budget, "TFJob": self.take_tfjob, "JobSet": self.take_jobset,
                    "Job": self.take_volcano if "volcano" in manifest["apiVersion"] else self.take_job}
            if manifest["kind"] in take:
                take[manifest["kind"]](manifest["metadata"]["name"], manifest["spec"])

    def of(self, role):
        return [r for r in self.replicas if r.role == role]

    def add(self, role, index, name, template, names, early, restarts, variables, hostname=None):
        self.replicas.append(Replica(self, role, index, name, hostname or name, template,
                                     [f"{n}.{DOMAIN}" for n in names], early, restarts, variables))

    # ---- engines ----

    def take_stateful_set(self, name, spec):
        for i in range(spec["replicas"]):
            names = [f"{name}-{i}.{spec['serviceName']}"]
            self.add("ps", i, f"{name}-{i}", spec["template"], names, True, "Always", {})

    def take_budget(self, _name, spec):
        self.budgets.append(Budget(spec))

    def take_job(self, name, spec, role="worker", subdomain=None, early=True):
        """An Indexed Job: the host is named by its index, the pod has a suffix besides."""
        rules = spec["podFailurePolicy"]["rules"]
        self.final_codes = next(r["onExitCodes"]["values"] for r in rules if "onExitCodes" in r)
        for i in range(spec["completions"]):
            names = [f"{name}-{i}.{subdomain}"] if subdomain else []
            self.add(role, i, f"{name}-{i}-x7k2p", spec["template"], names, early,
                     spec["template"]["spec"]["restartPolicy"], {"JOB_COMPLETION_INDEX": str(i)}, f"{name}-{i}")

    def take_jobset(self, name, spec):
        network = spec.get("network", {})
        for job in spec["replicatedJobs"]:
            self.take_job(f"{name}-{job['name']}-0", job["template"]["spec"], job["name"],
                          network.get("subdomain", name), network.get("publishNotReadyAddresses", True))

    def take_tfjob(self, name, spec):
        """Services of the operator do not publish what is not ready."""
        kinds = {kind.lower(): replicas for kind, replicas in spec["tfReplicaSpecs"].items()}
        addresses = {kind: [f"{name}-{kind}-{i}.default.svc:{PORT}" for i in range(r["replicas"])]
                     for kind, r in kinds.items()}
        for kind, replicas in kinds.items():
            for i in range(replicas["replicas"]):
                seen, config = addresses, {"task": {"type": kind, "index": i}, "environment": "cloud"}
                if spec.get("enableDynamicWorker"):
                    del config["environment"]
                    seen = {"worker": {}, "ps": addresses["ps"]}
                    if kind == "worker":
                        seen["worker"] = {str(i): addresses["worker"][i]}
                    else:
                        seen["ps"] = [addresses["ps"][i]]
                config["cluster"] = seen
                total = sum(r["replicas"] for r in kinds.values())
                self.add(kind, i, f"{name}-{kind}-{i}", replicas["template"], [f"{name}-{kind}-{i}"], False,
                         replicas["restartPolicy"], {"TF_CONFIG": json.dumps(config)} if total > 1 else {})

    def take_volcano(self, name, spec):
        """Its plug-in `tensorflow` sets TF_CONFIG; what is deleted lets all begin again."""
        self.restart_all = any(p["event"] == "PodEvicted" and p["action"] == "RestartJob" for p in spec["policies"])
        seen = {t["name"]: [f"{name}-{t['name']}-{i}.{name}:{PORT}" for i in range(t["replicas"])]
                for t in spec["tasks"]}
        early = "--publish-not-ready-addresses=true" in spec["plugins"]["svc"]
        for task in spec["tasks"]:
            for i in range(task["replicas"]):
                pod = f"{name}-{task['name']}-{i}"
                config = {"cluster": seen, "task": {"type": task["name"], "index": i}}
                self.add(task["name"], i, pod, task["template"], [f"{pod}.{name}"], early,
                         task["template"]["spec"]["restartPolicy"], {"TF_CONFIG": json.dumps(config)})

    def control(self):
        """What the controllers do about pods that have ended."""
        if self.restart_all and any(r.pod and r.pod.deleted and r.result is None for r in self.replicas):
            for r in self.replicas:
                if r.pod and r.pod.is_alive() and not r.pod.deleted:
                    r.pod.delete()
            if all(r.pod is None or not r.pod.is_alive() for r in self.replicas):
                for r in self.replicas:
                    r.result = None
                    r.make()
            return
        for r in self.replicas:
            if r.pod is None or r.pod.is_alive() or r.result is not None:
                continue
            code = r.pod.code()
            if code == 0 and r.restarts != "Always":
                r.result = 0
            elif code in self.final_codes and not r.pod.deleted:
                r.result = code
                raise Broken(f"{r.name} ended with {code}, which is final")
            else:
                r.make()

    # ---- what pods are given ----

    def make_volume(self, name):
        path = os.path.join(self.folder, "volumes", name)
        os.makedirs(path)
        if self.has_users:
            os.chown(path, 0, self.group())
            os.chmod(path, 0o2775)
        return path

    def group(self):
        return self.replicas[0].spec["securityContext"]["fsGroup"]

    def new_folder(self, pod):
        path = os.path.join(self.folder, f"{pod}.{sum(r.pods for r in self.replicas)}")
        os.makedirs(path)
        return path

    def volume(self, volume, pod):
        """A folder for it, empty if it is an emptyDir of a pod that is new. What the init container fetches from
        the Internet is there."""
        if volume["name"] == "data":
            return self.data
        with self.lock:
            return self.find_volume(volume, pod)

    def find_volume(self, volume, pod):
        if "secret" in volume:
            return self.secret(volume["secret"])
        shared = "persistentVolumeClaim" in volume
        key = volume["name"] if shared else f"{os.path.basename(pod.folder)}-{volume['name']}"
        if key not in self.volumes:
            self.volumes[key] = self.make_volume(key)
        return self.volumes[key]

    def secret(self, secret):
        """As a kubelet shows it: links to files of root, which it lets the pod's group read."""
        name = secret["secretName"]
        if name in self.volumes:
            return self.volumes[name]
        keys = os.path.join(self.folder, "keys")
        if not os.path.isdir(keys):
            subprocess.run([f"{self.build}/deploy/penstock", "keygen", keys], check=True, stdout=subprocess.DEVNULL)
        path = self.make_volume(name)
        os.chmod(path, 0o3777)  # so kubelets leave it, and mount it for reading only
        os.mkdir(os.path.join(path, "..1"))
        os.symlink("..1", os.path.join(path, "..data"))
        for file in ("ps.key", "allow") if "-ps-" in name else ("ps.pub", "chief.key", "worker.key"):
            place = os.path.join(path, "..1", file)
            shutil.copyfile(os.path.join(keys, file), place)
            os.symlink(os.path.join("..data", file), os.path.join(path, file))
            if self.has_users:
                os.chown(place, 0, self.group())
            os.chmod(place, secret["defaultMode"] | (0o040 if self.has_users else 0))
        self.volumes[name] = path
        return path

    # ---- the scenario ----

    def step(self):
        return max(r.pod.step for r in self.tellers())

    def tellers(self):
        return self.of("ps") or self.of("worker")

    def train_further(self):
        """All run, and a step is done that none had done."""
        await_that("all pods run", lambda: all(r.is_up() for r in self.replicas), self)
        for r in self.tellers():
            r.pod.step = 0
        await_that("somebody says the step", lambda: self.step() > 0, self)
        begun = self.step()
        await_that(f"training goes on after step {begun}", lambda: self.step() > begun + 5, self)

    def disturb(self, how, places):
        victims = [r for r in self.replicas if (r.role, r.index) in places]
        if not victims:
            return
        self.train_further()
        for victim in victims:
            if not victim.is_up():
                raise Broken(f"{victim.name} had ended before it was disturbed: train longer")
        {"delete": self.delete, "kill": self.kill, "freeze": self.freeze, "drain": self.drain}[how](victims)
        self.disturbed += len(victims)

    def delete(self, victims):
        for victim in victims:
            pod = victim.pod
            pod.delete()
            await_that(f"{victim.name} is gone", lambda: victim.pod is not pod, self)

    def kill(self, victims):
        self.end_by_kill(victims, lambda pod: pod.send(9))

    def freeze(self, victims):
        """Together, as on a host that is suspended."""
        self.frozen += victims
        self.end_by_kill(victims, lambda pod: pod.freeze())

    def end_by_kill(self, victims, begin):
        runs = [(victim.name, victim.pod, len(victim.pod.codes)) for victim in victims]
        for _, pod, _ in runs:
            begin(pod)
        for name, pod, run in runs:
            await_that(f"{name} is killed", lambda: len(pod.codes) > run, self)
            if pod.codes[run] != 137:
                raise Broken(f"{name} ended with {pod.codes[run]} when it was killed")

    def drain(self, victims):
        """As kubectl does: evicts all, and those whom a budget keeps again and again."""
        left, kept = [(victim, victim.pod) for victim in victims], set()

        def evict():
            for victim, pod in list(left):
                if all(b.lets_go(victim, self.replicas) for b in self.budgets if b.covers(victim)):
                    left.remove((victim, pod))
                    pod.delete()
                else:
                    kept.add(victim.name)
            return not left

        await_that("the node is drained", evict, self, EVICTION_S)
        servers = [victim for victim in victims if victim.role == "ps"]
        if len(servers) > 1 and len(kept) != len(servers) - 1:
            raise Broken(f"of {len(servers)} ps on one node {len(kept)} were kept at first by the disruption budget")

    def end(self):
        workers, servers = self.of("worker"), self.of("ps")
        await_that("every worker ends", lambda: all(r.result == 0 for r in workers), self)
        lingering = [r for r in servers if r.restarts == "Always"]
        await_that("every ps ends", lambda: all(r.result == 0 for r in servers if r not in lingering), self)
        for r in lingering:  # the StatefulSet is deleted when its job is done
            r.pod.delete()
            r.pod.join(PATIENCE_S)
            if r.pod.code() != 0:
                raise Broken(f"{r.name} ended with {r.pod.code()} when the job had finished")

    def train(self):
        # Workers first, to whom no ps resolves; then the ps, the last first.
        for r in reversed(self.of("worker")):
            r.make()
        await_that("workers run without a ps", lambda: all(r.is_up() for r in self.of("worker")), self)
        for r in reversed(self.of("ps")):
            r.make()
        for how, *places in DISTURBANCES.get(os.path.basename(self.overlay.rstrip("/")), EVERYWHERE):
            self.disturb(how, places)
        self.end()
        for r in self.replicas:
            if r.killed_by_probes() != self.frozen.count(r):
                raise Broken(f"{r.name} was killed {r.killed_by_probes()} times by its liveness probe")

    def compare(self):
        arguments = self.of("worker")[0].spec["containers"][0]["args"]
        trained = os.path.join(self.folder, "volumes/store/model/model.safetensors")
        if not os.path.exists(trained):
            raise Broken("no model was written")
        if "--on-worker-loss=shrink" in arguments:
            return "succeeded (its model depends on who was there)"
        options = [a for a in arguments if a.split("=")[0] not in PLACE_OPTIONS]
        run = os.path.join(self.folder, "local")
        subprocess.run([f"{self.build}/deploy/penstock", "run", "--quiet", "--ps", "2",
                        "--workers", str(len(self.of("worker"))), "--run-dir", run, "--",
                        "--data-folder", f"{self.data}/mnist", *options], check=True, stdout=subprocess.DEVNULL)
        if not filecmp.cmp(trained, os.path.join(run, "outputs/model/model.safetensors"), shallow=False):
            raise Broken("the model differs from that of penstock run")
        return "succeeded, the model of penstock run"

    def close(self):
        for r in self.replicas:
            while r.pod is not None and r.pod.is_alive():
                r.pod.deleted = True
                r.pod.send(9)
                r.pod.join(0.1)
        self.network.close()

    def show_logs(self):
        for r in self.replicas:
            if r.pod is None:
                continue
            print(f"  {r.name}: codes {r.pod.codes}, started {r.pod.started}, ready {r.pod.ready}, step {r.pod.step}")
            logs = sorted(f for f in os.listdir(r.pod.folder) if f.endswith(".log"))
            with open(os.path.join(r.pod.folder, logs[-1])) as log:
                print("".join(f"    {line}" for line in log.readlines()[-6:]), end="")


def main():
    kubectl, build, data, scratch = sys.argv[1:5]
    rows, failed = [], False
    for overlay in sys.argv[5:]:
        name = os.path.basename(overlay.rstrip("/"))
        folder = os.path.join(scratch, name)
        os.makedirs(folder)
        cluster, result = Cluster(kubectl, build, data, folder, overlay), None
        begun = time.monotonic()
        try:
            cluster.train()
            result = cluster.compare()
        except Broken as reason:
            result, failed = f"FAILED: {reason}", True
            print(f"{name}: {reason}")
            cluster.show_logs()
        finally:
            cluster.close()
        rows.append((name, len(cluster.replicas), sum(r.pods for r in cluster.replicas), cluster.disturbed,
                     f"{time.monotonic() - begun:.0f} s", result))
        print(f"{name}: {result}", flush=True)
    print(f"\n{'overlay':18}{'replicas':>9}{'pods':>6}{'disturbed':>11}{'time':>8}  result")
    for row in rows:
        print(f"{row[0]:18}{row[1]:>9}{row[2]:>6}{row[3]:>11}{row[4]:>8}  {row[5]}")
    return 1 if failed else 0


sys.exit(main())
