{{/* Host and port of the headless Service, which resolves to the pods' addresses. */}}
{{- define "declarative.headless" -}}
{{ include "declarative.fullname" . }}-headless.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:{{ .Values.ports.api }}
{{- end }}

{{/* The endpoint that Flyte balances over. */}}
{{- define "declarative.endpoint" -}}
dns:///{{ include "declarative.headless" . }}
{{- end }}

{{/* Protocol of the API port, for meshes and gateways. */}}
{{- define "declarative.appProtocol" -}}
{{- .Values.service.appProtocol | default (.Values.tls.enabled | ternary "https" "kubernetes.io/h2c") -}}
{{- end }}

{{/* The Flyte plugin that runs our task types. */}}
{{- define "declarative.flyteTasks" -}}
task-plugins:
  default-for-task-types:
    {{- range include "declarative.taskTypes" . | fromJsonArray }}
    {{ . | quote }}: connector-service
    {{- end }}
{{- end }}

{{/*
Flyte's configuration of this connector. Timeouts are a list, because viper lowercases map keys. The retry policy
is safe: a repeated create starts no second job. connectorForTaskTypes would make a sync task async. `outrigger flyte-values`
(in a checkout: `cargo xtask flyte-values`) prints the same, for several plugins at once.
*/}}
{{- define "declarative.flyteConnector" -}}
connector-service:
  # Helm replaces lists: add the task types of your other connectors here.
  supportedTaskTypes: {{ include "declarative.taskTypes" . }}
  connectors:
    {{ include "declarative.fullname" . | quote }}:
      {{- if include "declarative.usesProxy" . }}
      # The sidecar, which adds Flyte's token.
      endpoint: dns:///127.0.0.1:{{ .Values.flyte.proxy.port }}
      insecure: true
      {{- else }}
      endpoint: {{ include "declarative.endpoint" . }}
      insecure: {{ not .Values.tls.enabled }}
      {{- end }}
      defaultTimeout: 10s
      {{- if include "declarative.hasJobs" . }}
      {{- $others := ne (include "declarative.jobTypes" .) (include "declarative.taskTypes" .) }}
      timeouts: [{ListConnectors: 3s}, {CreateTask: 30s}, {GetTask: 10s}, {DeleteTask: 10s}{{ if $others }}, {ExecuteTaskSync: 30s}{{ end }}]
      defaultServiceConfig: '{"loadBalancingConfig":[{"round_robin":{}}],"methodConfig":[{"name":[{"service":"flyteidl.service.AsyncAgentService"},{"service":"flyteidl2.connector.AsyncConnectorService"}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.2s","maxBackoff":"2s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}'
      {{- else }}
      timeouts: [{ListConnectors: 3s}, {ExecuteTaskSync: 30s}]
      defaultServiceConfig: '{"loadBalancingConfig":[{"round_robin":{}}]}'
      {{- end }}
  {{- $jobs := include "declarative.jobTypes" . | fromJsonArray }}
  {{- if and $jobs (include "declarative.hasJobs" .) }}
  connectorForTaskTypes:
    {{- range $jobs }}
    {{ . | quote }}: {{ include "declarative.fullname" $ | quote }}
    {{- end }}
  {{- end }}
  webApi:
    resourceQuotas: {default: 1000}
    readRateLimiter: {qps: 200, burst: 1000}
    writeRateLimiter: {qps: 10, burst: 100}
    caching: {workers: 100, size: 500000, resyncInterval: 10s, maxSystemFailures: 5}
{{- end }}

{{/* Non-empty if Flyte must send a token of its ServiceAccount, which the sidecar adds. */}}
{{- define "declarative.usesProxy" -}}
{{- if not (or .Values.auth.insecureNoAuth .Values.auth.existingConfigMap (not .Values.auth.cluster.enabled)) }}yes{{ end -}}
{{- end }}

{{/* The sidecar's image; a registry that nobody named is left for the reader. */}}
{{- define "declarative.proxyImage" -}}
{{- $image := dict "root" . "image" .Values.flyte.proxy.image -}}
{{- $registry := include "declarative.registry" $image | default "YOUR-REGISTRY" -}}
{{ include "declarative.imageName" (merge (dict "registry" $registry) $image) }}
{{- end }}

{{/* The container that adds the token of the pod's ServiceAccount; `outrigger flyte-values` writes the same for several plugins. */}}
{{- define "declarative.flyteProxy" -}}
- name: propeller-proxy
  image: {{ include "declarative.proxyImage" . | quote }}
  args:
    - --route=127.0.0.1:{{ .Values.flyte.proxy.port }}={{ .Values.tls.enabled | ternary "https://" "dns:///" }}{{ include "declarative.headless" . }}
    - --token-file=/var/run/secrets/outrigger/token
  ports: [{name: proxy-admin, containerPort: 9091}]
  startupProbe: {httpGet: {path: /readyz, port: proxy-admin}, periodSeconds: 2, failureThreshold: 30}
  livenessProbe: {httpGet: {path: /livez, port: proxy-admin}}
  resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
  volumeMounts: [{name: outrigger-token, mountPath: /var/run/secrets/outrigger, readOnly: true}]
{{- end }}

{{/* The volume with that token. */}}
{{- define "declarative.flyteToken" -}}
- name: outrigger-token
  projected:
    sources:
      - serviceAccountToken: {audience: {{ .Values.auth.cluster.audience | quote }}, expirationSeconds: 3600, path: token}
{{- end }}
