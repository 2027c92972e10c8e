{{/* The pods of a ps and of a worker, whatever the kind of the cluster takes them in. */}}

{{- define "penstock.labels" -}}
app.kubernetes.io/name: penstock
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "penstock.image" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{- define "penstock.confined" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* "true" with Kubeflow's training operator, else empty. */}}
{{- define "penstock.tfjob" -}}
{{- if hasPrefix "tfjob" .Values.kind }}true{{ end }}
{{- end }}

{{/* An Indexed Job but for its pods, by how many. Codes are as in deploy/kubernetes/engines. */}}
{{- define "penstock.indexedJob" -}}
completionMode: Indexed
completions: {{ . }}
parallelism: {{ . }}
backoffLimit: 20
podFailurePolicy:
  rules:
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
    - action: FailJob
      onExitCodes:
        containerName: penstock
        operator: In
        values: [1, 2, 3]
{{- end }}

{{/* What both pods say of themselves. */}}
{{- define "penstock.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # Makes the claim writable, and the keys root's and this group's to read (0440), which the daemons accept.
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "penstock.environment" -}}
{{- if .Values.keys.enabled }}
- name: PENSTOCK_CURVE_KEYS
  value: /keys
{{- end }}
{{- if has .Values.kind (list "statefulset" "jobset") }}
- name: PENSTOCK_FROM_ORDINAL
  value: ps={{ .Values.ps.replicas }}@{{ .Release.Name }}-ps-{{ eq .Values.kind "jobset" | ternary "0-" "" }}{}.{{ .Release.Name }}:2222,worker={{ .Values.worker.replicas }}
{{- end }}
{{- end }}

{{/* How often the probe may fail at start; seconds between those for life; what tells that it is ready. */}}
{{- define "penstock.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 2
  failureThreshold: {{ .startFailures }}
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: {{ .livePeriod }}
  timeoutSeconds: 5
  failureThreshold: 3
  # What stands still hears no SIGTERM either.
  terminationGracePeriodSeconds: 10
readinessProbe:
  httpGet: {path: {{ .ready }}, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- define "penstock.commonArguments" -}}
# Pods do not see each other's memory.
- --no-shared-memory
- --http-port=8080
- --http-address=0.0.0.0
- --log-format=json
{{- if .Values.monitoring.serviceMonitor }}
- --http-open
{{- end }}
{{- end }}

{{- define "penstock.commonMounts" -}}
- name: store
  mountPath: /store
{{- if .Values.keys.enabled }}
- name: keys
  mountPath: /keys
  readOnly: true
{{- end }}
- name: tmp
  mountPath: /tmp
{{- end }}

{{/* By the pair of the root and the name of the secret with keys. */}}
{{- define "penstock.commonVolumes" -}}
{{- $root := index . 0 }}
- name: store
  persistentVolumeClaim:
    claimName: {{ $root.Values.store.claim | default $root.Release.Name }}
{{- if $root.Values.keys.enabled }}
- name: keys
  secret:
    secretName: {{ index . 1 }}
    defaultMode: 0400
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- end }}

{{/* MiB of a quantity. */}}
{{- define "penstock.mebibytes" -}}
{{- $text := toString . }}
{{- $unit := regexFind "[A-Za-z]+$" $text }}
{{- $bytes := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- divf (mulf (trimSuffix $unit $text | float64) (get $bytes $unit)) 1048576 }}
{{- end }}

{{/* MiB for the shard. It is counted as two copies of its weights or more; beside them there are a third, for what others
still hold, and a gradient of each worker. Of what that leaves a quarter is for the process itself. */}}
{{- define "penstock.memoryLimit" -}}
{{- $memory := .Values.ps.resources.limits.memory }}
{{- $twice := mulf 2 (include "penstock.mebibytes" $memory | float64) }}
{{- $shares := add 3 .Values.worker.replicas }}
{{- if gt (float64 .Values.ps.memoryLimit) (divf $twice $shares) }}
{{- fail (printf "ps.memoryLimit: with %v workers a shard of %v MiB does not fit into ps.resources.limits.memory, %v" .Values.worker.replicas .Values.ps.memoryLimit $memory) }}
{{- end }}
{{- .Values.ps.memoryLimit | default (divf (mulf 0.75 $twice) $shares | floor | int64) }}
{{- end }}

{{- define "penstock.ps" -}}
{{- $tfjob := include "penstock.tfjob" . | eq "true" -}}
metadata:
  labels:
    {{- include "penstock.labels" . | nindent 4 }}
    app.kubernetes.io/component: ps
spec:
  {{- include "penstock.pod" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ mul 2 .Values.ps.stopSeconds }}
  # Apart, where there is room: each has its host's network, and a host that fails takes one along.
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "penstock.labels" . | nindent 10 | replace "app.kubernetes.io/name: penstock" "app.kubernetes.io/component: ps" }}
  {{- with get (dict "jobset" "Never" "volcano" "OnFailure") .Values.kind }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with .Values.ps.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.ps.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ $tfjob | ternary "tensorflow" "penstock" }}
      {{- include "penstock.image" . | nindent 6 }}
      command: [penstock-ps]
      args:
        - --checkpoint-dir=/store/checkpoints
        - --checkpoint-steps={{ .Values.ps.checkpointSteps }}
        - --stop-secs={{ .Values.ps.stopSeconds }}
        - --memory-limit={{ include "penstock.memoryLimit" . }}
        {{- include "penstock.commonArguments" . | nindent 8 }}
        {{- if not .Values.keys.enabled }}
        - --insecure
        {{- end }}
        {{- if eq .Values.kind "statefulset" }}
        # A StatefulSet starts again whatever ends, also with 0.
        - --linger
        {{- end }}
        {{- range .Values.ps.args }}
        - {{ . | quote }}
        {{- end }}
      {{- with include "penstock.environment" . | trim }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      ports:
        - name: {{ $tfjob | ternary "tfjob-port" "penstock" }}
          containerPort: 2222
        - name: http
          containerPort: 8080
      {{- include "penstock.probes" (dict "startFailures" 30 "livePeriod" 10 "ready" ($tfjob | ternary "/livez" "/readyz")) | nindent 6 }}
      resources:
        {{- toYaml .Values.ps.resources | nindent 8 }}
      {{- include "penstock.confined" . | nindent 6 }}
      volumeMounts:
        {{- include "penstock.commonMounts" . | nindent 8 }}
  volumes:
    {{- $secret := .Values.keys.psSecret | default (printf "%s-ps-keys" .Release.Name) }}
    {{- include "penstock.commonVolumes" (list . $secret) | trim | nindent 4 }}
{{- end }}

{{- define "penstock.worker" -}}
{{- $tfjob := include "penstock.tfjob" . | eq "true" -}}
metadata:
  labels:
    {{- include "penstock.labels" . | nindent 4 }}
    app.kubernetes.io/component: worker
spec:
  {{- include "penstock.pod" . | nindent 2 }}
  terminationGracePeriodSeconds: 30
  {{- with get (dict "statefulset" "Never" "jobset" "Never" "volcano" "OnFailure") .Values.kind }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with .Values.worker.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if or .Values.worker.tolerations .Values.worker.gpus }}
  tolerations:
    {{- with .Values.worker.tolerations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if .Values.worker.gpus }}
    - key: nvidia.com/gpu
      operator: Exists
      effect: NoSchedule
    {{- end }}
  {{- end }}
  {{- if not .Values.data.claim }}
  initContainers:
    # Into /data/mnist, 11 MB from a public mirror.
    - name: data
      {{- include "penstock.image" . | nindent 6 }}
      command: [penstock, fetch-mnist]
      env:
        - name: PENSTOCK_CACHE
          value: /data
      resources:
        requests:
          cpu: 100m
          memory: 128Mi
        limits:
          memory: 256Mi
      {{- include "penstock.confined" . | nindent 6 }}
      volumeMounts:
        - name: data
          mountPath: /data
        - name: tmp
          mountPath: /tmp
  {{- end }}
  containers:
    - name: {{ $tfjob | ternary "tensorflow" "penstock" }}
      {{- include "penstock.image" . | nindent 6 }}
      command: [penstock-worker]
      args:
        - --data-folder=/data/mnist
        - --output-dir=/store
        {{- range .Values.worker.args }}
        - {{ . | quote }}
        {{- end }}
        {{- include "penstock.commonArguments" . | nindent 8 }}
        {{- if .Values.worker.gpus }}
        - --device=auto
        {{- end }}
        {{- if eq .Values.kind "tfjob-dynamic" }}
        - --workers={{ .Values.worker.replicas }}
        - --on-worker-loss=shrink
        {{- end }}
      {{- $environment := include "penstock.environment" . | trim }}
      {{- if or $environment .Values.worker.gpus }}
      env:
        {{- with $environment }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- if .Values.worker.gpus }}
        # The root file system is read-only: compiled kernels are kept here.
        - name: CUDA_CACHE_PATH
          value: /tmp/cuda
        {{- end }}
      {{- end }}
      ports:
        {{- if $tfjob }}
        - name: tfjob-port
          containerPort: 2222
        {{- end }}
        - name: http
          containerPort: 8080
      {{- include "penstock.probes" (dict "startFailures" 60 "livePeriod" 20 "ready" "/readyz") | nindent 6 }}
      resources:
        requests:
          {{- toYaml .Values.worker.resources.requests | nindent 10 }}
        limits:
          {{- toYaml .Values.worker.resources.limits | nindent 10 }}
          {{- with .Values.worker.gpus }}
          nvidia.com/gpu: {{ . | quote }}
          {{- end }}
      {{- include "penstock.confined" . | nindent 6 }}
      volumeMounts:
        - name: data
          mountPath: /data
          readOnly: true
        {{- include "penstock.commonMounts" . | nindent 8 }}
  volumes:
    - name: data
      {{- if .Values.data.claim }}
      persistentVolumeClaim:
        claimName: {{ .Values.data.claim }}
        readOnly: true
      {{- else }}
      emptyDir:
        sizeLimit: 256Mi
      {{- end }}
    {{- $secret := .Values.keys.workerSecret | default (printf "%s-worker-keys" .Release.Name) }}
    {{- include "penstock.commonVolumes" (list . $secret) | trim | nindent 4 }}
{{- end }}
