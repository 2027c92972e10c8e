"""pod.py - one pod, as a kubelet runs it: of real namespaces and processes, without an engine.

A pod has a network namespace with an address of its own (pod_net.c), its names by DNS, process, mount and host
name namespaces, a read-only root that holds the system's programs, the build's, and the pod's volumes, and the
user of its security context. Its container runs as PID 1, is probed over HTTP from the pod's network, started
again by restartPolicy, and ended by SIGTERM and, after the grace period, SIGKILL; a probe of liveness that has failed
too often ends it likewise, and may have a grace period of its own.

Each pod is a thread, which is in the network namespace; whatever it starts is there, too. When pods are made and
what their end means is the controllers' (pods.py)."""
import ctypes
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
# Probes come so many times as often as a manifest says. What they may take stays, but for a pod that is frozen: nobody
# answers there, so that it would only be waited for; that goes so many times as fast, too.
SPEED = 10
LOOK_S = 0.05
DOMAIN = "default.svc.cluster.local"

# $1 root, $2 folder of the build, $3 name of the host, $4 files for /etc, then "FOLDER PATH ro|rw" for each volume,
# "--", and the command.
SETUP = r"""
root=$1 build=$2 files=$4
hostname "$3"
shift 4
mount -t tmpfs -o mode=755 tmpfs "$root"
for part in bin sbin lib lib64 usr etc dev; do
    [ -e "/$part" ] || continue
    if [ -L "/$part" ]; then
        cp -P "/$part" "$root/$part"
    else
        mkdir "$root/$part"
        mount --rbind "/$part" "$root/$part"
    fi
done
mkdir "$root/proc" "$root/build"
mount -t proc proc "$root/proc"
mount --bind "$build" "$root/build"
mount -o remount,bind,ro "$root/build"
for file in "$files"/*; do
    mount --bind "$file" "$root/etc/${file##*/}"
done
until [ "$1" = -- ]; do
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    [ "$3" = rw ] || mount -o remount,bind,ro "$root$2"
    shift 3
done
shift
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""

libc = ctypes.CDLL(None, use_errno=True)


def enter_network(path):
    """Moves the calling thread, and what it starts, into that network namespace."""
    with open(path) as space:
        if libc.setns(space.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns: {path}")


class Names:
    """What the cluster's DNS knows: a name has an address once its pod has one, and not before."""

    def __init__(self):
        self.table = {}

    def answer(self, query):
        end = query.index(b"\0", 12) + 1
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]])
            at += 1 + query[at]
        kind = struct.unpack_from(">H", query, end)[0]
        address = self.table.get(b".".join(labels).decode("latin-1").lower())
        record = b""
        if address and kind == 1:
            record = struct.pack(">HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(address)
        flags = 0x8580 if address else 0x8583  # no such name
        return query[:2] + struct.pack(">HHHHH", flags, 1, 1 if record else 0, 0, 0) + query[12 : end + 4] + record

    def serve(self, receiver):
        while True:
            query, sender = receiver.recvfrom(512)
            try:
                receiver.sendto(self.answer(query), sender)
            except (ValueError, IndexError, struct.error):
                pass  # no query


def expand(text, known):
    """$(NAME) as the kubelet does: what is not known stays, and $$ is a $."""
    def one(match):
        if match.group() == "$$":
            return "$"
        return known.get(match.group(1), match.group())

    return re.sub(r"\$\$|\$\(([-._A-Za-z0-9]+)\)", one, text)


class Probe:
    def __init__(self, spec, ports):
        get = spec["httpGet"]
        self.path, self.port = get["path"], ports.get(get["port"], get["port"])
        self.period_s = spec.get("periodSeconds", 10) / SPEED
        self.timeout_s = spec.get("timeoutSeconds", 1)
        self.threshold = spec.get("failureThreshold", 3)
        self.grace_s = spec.get("terminationGracePeriodSeconds")  # None: the pod's
        self.failures = 0
        self.due = time.monotonic() + spec.get("initialDelaySeconds", 0) / SPEED

    def look(self, address, is_frozen):
        """True or False, or None if it is not time yet."""
        if time.monotonic() < self.due:
            return None
        self.due = time.monotonic() + self.period_s
        timeout_s = self.timeout_s / SPEED if is_frozen else self.timeout_s
        good = 200 <= get(address, self.port, self.path, timeout_s)[0] < 400
        self.failures = 0 if good else self.failures + 1
        return good

    def has_failed(self):
        return self.failures >= self.threshold


def get(address, port, path, timeout_s):
    connection = http.client.HTTPConnection(address, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def children(process):
    try:
        with open(f"/proc/{process}/task/{process}/children") as file:
            return [int(child) for child in file.read().split()]
    except OSError:  # it is gone
        return []


def descendants(process):
    below = children(process)
    return below + [further for child in below for further in descendants(child)]


def send(process, what):
    try:
        os.kill(process, what)
    except OSError:
        pass


class Pod(threading.Thread):
    """`names` are those under which its service shows it, at once if `early`, else when it is ready."""

    def __init__(self, cluster, name, hostname, spec, variables, names, early, kubelet_restarts):
        super().__init__(daemon=True)
        self.cluster, self.spec, self.pod_name, self.hostname = cluster, spec, name, hostname
        self.variables, self.names, self.early, self.kubelet_restarts = variables, names, early, kubelet_restarts
        self.space, self.address = cluster.network.take()
        self.folder = cluster.new_folder(name)
        self.container = spec["containers"][0]
        self.codes = []  # of each container's end
        self.started = self.ready = self.deleted = self.frozen = False
        self.liveness_kills = self.step = 0
        self.kill_at = None
        self.process = None
        self.start()

    # ---- for the controllers ----

    def code(self):
        """Of the pod's end; None: it has not ended."""
        return None if self.is_alive() else self.codes[-1]

    def delete(self):
        self.deleted = True
        self.terminate()

    def freeze(self):
        """Until its probes have it killed."""
        self.frozen = True
        for process in descendants(self.process.pid):
            send(process, signal.SIGSTOP)

    def terminate(self, grace_s=None):
        if grace_s is None:
            grace_s = self.spec.get("terminationGracePeriodSeconds", 30)
        self.kill_at = time.monotonic() + (grace_s / SPEED if self.frozen else grace_s)
        self.send(signal.SIGTERM)

    def send(self, what):
        """To PID 1 of the pod, the child of what makes its namespaces."""
        for child in children(self.process.pid) if self.process else []:
            send(child, what)

    # ---- the thread ----

    def run(self):
        enter_network(self.space)
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("127.0.0.1", 53))
        threading.Thread(target=self.cluster.names.serve, args=(receiver,), daemon=True).start()
        while True:
            self.codes.append(self.run_container())
            policy = self.kubelet_restarts
            if self.deleted or policy == "Never" or (policy == "OnFailure" and self.codes[-1] == 0):
                break
        self.publish(False)
        # Nobody answers at the address of a pod that is gone, not even with a reset.
        subprocess.run(["ip", "link", "set", "link0", "down"], check=True)

    def publish(self, shown):
        for name in self.names:
            if shown:
                self.cluster.names.table[name] = self.address
            elif self.cluster.names.table.get(name) == self.address:
                del self.cluster.names.table[name]

    def environment(self):
        fields = {"metadata.name": self.pod_name, "metadata.namespace": "default", "status.podIP": self.address}
        known = {"PATH": "/build/ps:/build/worker:/build/deploy:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/"}
        known.update(self.variables)
        for entry in self.container.get("env", []):
            if "valueFrom" in entry:
                path = entry["valueFrom"]["fieldRef"]["fieldPath"]
                known[entry["name"]] = fields[path]
            else:
                known[entry["name"]] = expand(entry.get("value", ""), known)
        return known

    def command(self, environment):
        root, files = os.path.join(self.folder, "root"), os.path.join(self.folder, "etc")
        os.makedirs(root, exist_ok=True)
        os.makedirs(files, exist_ok=True)
        for name, text in {
            "hosts": f"127.0.0.1 localhost\n{self.address} {self.hostname}\n",
            "nsswitch.conf": "hosts: files dns\n",
            "resolv.conf": f"nameserver 127.0.0.1\nsearch {DOMAIN} {DOMAIN[8:]} {DOMAIN[12:]}\noptions ndots:5\n",
        }.items():
            with open(os.path.join(files, name), "w") as file:
                file.write(text)
        volumes = []
        for mount in self.container.get("volumeMounts", []):
            volume = next(v for v in self.spec["volumes"] if v["name"] == mount["name"])
            volumes += [self.cluster.volume(volume, self), mount["mountPath"], "ro" if mount.get("readOnly") else "rw"]
        context = self.spec.get("securityContext", {})
        user = []
        if "runAsUser" in context and self.cluster.has_users:
            user = ["setpriv", f"--reuid={context['runAsUser']}", f"--regid={context['runAsGroup']}",
                    f"--groups={context['fsGroup']}", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        words = self.container["command"] + self.container.get("args", [])
        return (["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork",
                 "--kill-child", "sh", "-euc", SETUP, "sh", root, self.cluster.build, self.hostname, files] + volumes + ["--"] + user
                + [expand(word, environment) for word in words])

    def run_container(self):
        environment = self.environment()
        log_path = os.path.join(self.folder, f"{len(self.codes)}.log")
        ports = {p["name"]: p["containerPort"] for p in self.container.get("ports", []) if "name" in p}
        probes = {kind: Probe(self.container[kind], ports)
                  for kind in ("startupProbe", "livenessProbe", "readinessProbe") if kind in self.container}
        self.started, self.ready, self.kill_at = "startupProbe" not in probes, False, None
        with open(log_path, "w") as log:
            self.process = subprocess.Popen(self.command(environment), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, env=environment)
        if self.early:
            self.publish(True)
        while self.process.poll() is None:
            self.look(probes, ports)
            time.sleep(LOOK_S)
        self.ready = self.started = self.frozen = False
        self.publish(self.early and not self.deleted)
        return self.container_code(self.process.returncode, log_path)

    @staticmethod
    def container_code(code, log_path):
        """unshare ends by the signal by which its child has, except SIGKILL: then with 1, and a complaint."""
        with open(log_path, errors="replace") as log:
            lines = log.read().splitlines()
        if code == 1 and lines and lines[-1].startswith("unshare: "):
            return 128 + signal.SIGKILL
        return code if code >= 0 else 128 - code

    def look(self, probes, ports):
        if self.kill_at is not None:
            if time.monotonic() > self.kill_at:
                self.send(signal.SIGKILL)
            return
        if self.deleted:  # before there was a process
            self.terminate()
            return
        if not self.started:
            probe = probes["startupProbe"]
            self.started = probe.look(self.address, self.frozen) is True
        else:
            probe = probes.get("livenessProbe")
            if probe is not None:
                probe.look(self.address, self.frozen)
            self.look_at_readiness(probes.get("readinessProbe"))
            if not self.frozen:
                self.look_at_progress(ports)
        if probe is not None and probe.has_failed():
            self.liveness_kills += 1
            self.terminate(probe.grace_s)

    def look_at_readiness(self, probe):
        good = True if probe is None else probe.look(self.address, self.frozen)
        if good is not None:
            self.ready = good or (self.ready and not probe.has_failed())
        self.publish(self.early or self.ready)

    def look_at_progress(self, ports):
        """No kubelet's: for the scenario."""
        status, page = get("127.0.0.1", ports["http"], "/status", 5)
        if status == 200:
            self.step = (json.loads(page).get("progress") or {}).get("step") or 0
