{{/* Host and port of the headless Service, which resolves to the pods' addresses. */}}
{{- define "bigquery.headless" -}}
{{ include "bigquery.fullname" . }}-headless.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:{{ .Values.ports.api }}
{{- end }}

{{/* The endpoint that Flyte balances over. */}}
{{- define "bigquery.endpoint" -}}
dns:///{{ include "bigquery.headless" . }}
{{- end }}

{{/* Protocol of the API port, for meshes and gateways. */}}
{{- define "bigquery.appProtocol" -}}
{{- .Values.service.appProtocol | default (.Values.tls.enabled | ternary "https" "kubernetes.io/h2c") -}}
{{- end }}

{{/* The Flyte plugin that runs our task types. */}}
{{- define "bigquery.flyteTasks" -}}
task-plugins:
  default-for-task-types:
    {{- range include "bigquery.taskTypes" . | fromJsonArray }}
    {{ . | quote }}: connector-service
    {{- end }}
{{- end }}

{{/*
Flyte's configuration of this connector. Timeouts are a list, because viper lowercases map keys. The retry policy
is safe: a repeated create starts no second job. connectorForTaskTypes would make a sync task async. `outrigger flyte-values`
(in a checkout: `cargo xtask flyte-values`) prints the same, for several plugins at once.
*/}}
{{- define "bigquery.flyteConnector" -}}
connector-service:
  # Helm replaces lists: add the task types of your other connectors here.
  supportedTaskTypes: {{ include "bigquery.taskTypes" . }}
  connectors:
    {{ include "bigquery.fullname" . | quote }}:
      {{- if include "bigquery.usesProxy" . }}
      # The sidecar, which adds Flyte's token.
      endpoint: dns:///127.0.0.1:{{ .Values.flyte.proxy.port }}
      insecure: true
      {{- else }}
      endpoint: {{ include "bigquery.endpoint" . }}
      insecure: {{ not .Values.tls.enabled }}
      {{- end }}
      defaultTimeout: 10s
      {{- if include "bigquery.hasJobs" . }}
      timeouts: [{ListConnectors: 3s}, {CreateTask: 30s}, {GetTask: 10s}, {DeleteTask: 10s}]
      defaultServiceConfig: '{"loadBalancingConfig":[{"round_robin":{}}],"methodConfig":[{"name":[{"service":"flyteidl.service.AsyncAgentService"},{"service":"flyteidl2.connector.AsyncConnectorService"}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.2s","maxBackoff":"2s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}'
      {{- else }}
      timeouts: [{ListConnectors: 3s}, {ExecuteTaskSync: 30s}]
      defaultServiceConfig: '{"loadBalancingConfig":[{"round_robin":{}}]}'
      {{- end }}
  {{- if include "bigquery.hasJobs" . }}
  connectorForTaskTypes:
    {{- range include "bigquery.taskTypes" . | fromJsonArray }}
    {{ . | quote }}: {{ include "bigquery.fullname" $ | quote }}
    {{- end }}
  {{- end }}
  webApi:
    resourceQuotas: {default: 1000}
    readRateLimiter: {qps: 200, burst: 1000}
    writeRateLimiter: {qps: 10, burst: 100}
    caching: {workers: 100, size: 500000, resyncInterval: 10s, maxSystemFailures: 5}
{{- end }}

{{/* Non-empty if Flyte must send a token of its ServiceAccount, which the sidecar adds. */}}
{{- define "bigquery.usesProxy" -}}
{{- if not (or .Values.auth.insecureNoAuth .Values.auth.existingConfigMap (not .Values.auth.cluster.enabled)) }}yes{{ end -}}
{{- end }}

{{/* The sidecar's image; a registry that nobody named is left for the reader. */}}
{{- define "bigquery.proxyImage" -}}
{{- $image := dict "root" . "image" .Values.flyte.proxy.image -}}
{{- $registry := include "bigquery.registry" $image | default "YOUR-REGISTRY" -}}
{{ include "bigquery.imageName" (merge (dict "registry" $registry) $image) }}
{{- end }}

{{/* The container that adds the token of the pod's ServiceAccount; `outrigger flyte-values` writes the same for several plugins. */}}
{{- define "bigquery.flyteProxy" -}}
- name: propeller-proxy
  image: {{ include "bigquery.proxyImage" . | quote }}
  args:
    - --route=127.0.0.1:{{ .Values.flyte.proxy.port }}={{ .Values.tls.enabled | ternary "https://" "dns:///" }}{{ include "bigquery.headless" . }}
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
{{- define "bigquery.flyteToken" -}}
- name: outrigger-token
  projected:
    sources:
      - serviceAccountToken: {audience: {{ .Values.auth.cluster.audience | quote }}, expirationSeconds: 3600, path: token}
{{- end }}
