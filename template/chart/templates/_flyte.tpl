{{/* Host and port of the headless Service, which resolves to the pods' addresses. */}}
{{- define "<[ plugin.name ]>.headless" -}}
{{ include "<[ plugin.name ]>.fullname" . }}-headless.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:{{ .Values.ports.api }}
{{- end }}

{{/* The endpoint that Flyte balances over. */}}
{{- define "<[ plugin.name ]>.endpoint" -}}
dns:///{{ include "<[ plugin.name ]>.headless" . }}
{{- end }}

{{/* Protocol of the API port, for meshes and gateways. */}}
{{- define "<[ plugin.name ]>.appProtocol" -}}
{{- .Values.service.appProtocol | default (.Values.tls.enabled | ternary "https" "kubernetes.io/h2c") -}}
{{- end }}

{{/* The Flyte plugin that runs our task types. */}}
{{- define "<[ plugin.name ]>.flyteTasks" -}}
task-plugins:
  default-for-task-types:
    {{- range include "<[ plugin.name ]>.taskTypes" . | fromJsonArray }}
    {{ . | quote }}: connector-service
    {{- end }}
{{- end }}

{{/*
Flyte's configuration of this connector. Timeouts are a list, because viper lowercases map keys. <% if plugin.kind == "bridge" %>There is no
retry policy: a create that failed in the plugin may have started a job, and gRPC would repeat it.
<% else %>The retry policy
is safe: a repeated create starts no second job. <% endif %>connectorForTaskTypes would make a sync task async. `outrigger flyte-values`
(in a checkout: `cargo xtask flyte-values`) prints the same, for several plugins at once.
*/}}
{{- define "<[ plugin.name ]>.flyteConnector" -}}
connector-service:
  # Helm replaces lists: add the task types of your other connectors here.
  supportedTaskTypes: {{ include "<[ plugin.name ]>.taskTypes" . }}
  connectors:
    {{ include "<[ plugin.name ]>.fullname" . | quote }}:
      {{- if include "<[ plugin.name ]>.usesProxy" . }}
      # The sidecar, which adds Flyte's token.
      endpoint: dns:///127.0.0.1:{{ .Values.flyte.proxy.port }}
      insecure: true
      {{- else }}
      endpoint: {{ include "<[ plugin.name ]>.endpoint" . }}
      insecure: {{ not .Values.tls.enabled }}
      {{- end }}
      defaultTimeout: 10s
      {{- if include "<[ plugin.name ]>.hasJobs" . }}
<%- if plugin.kind == "declarative" %>
      {{- $others := ne (include "<[ plugin.name ]>.jobTypes" .) (include "<[ plugin.name ]>.taskTypes" .) }}
      timeouts: [{ListConnectors: 3s}, {CreateTask: 30s}, {GetTask: 10s}, {DeleteTask: 10s}{{ if $others }}, {ExecuteTaskSync: 30s}{{ end }}]
<%- else %>
      timeouts: [{ListConnectors: 3s}, {CreateTask: 30s}, {GetTask: 10s}, {DeleteTask: 10s}]
<%- endif %>
<%- if plugin.kind == "bridge" %>
      defaultServiceConfig: '{"loadBalancingConfig":[{"round_robin":{}}]}'
<%- else %>
      defaultServiceConfig: '{"loadBalancingConfig":[{"round_robin":{}}],"methodConfig":[{"name":[{"service":"flyteidl.service.AsyncAgentService"},{"service":"flyteidl2.connector.AsyncConnectorService"}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.2s","maxBackoff":"2s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}'
<%- endif %>
      {{- else }}
      timeouts: [{ListConnectors: 3s}, {ExecuteTaskSync: 30s}]
      defaultServiceConfig: '{"loadBalancingConfig":[{"round_robin":{}}]}'
      {{- end }}
<%- if plugin.kind == "declarative" %>
  {{- $jobs := include "<[ plugin.name ]>.jobTypes" . | fromJsonArray }}
  {{- if and $jobs (include "<[ plugin.name ]>.hasJobs" .) }}
  connectorForTaskTypes:
    {{- range $jobs }}
    {{ . | quote }}: {{ include "<[ plugin.name ]>.fullname" $ | quote }}
    {{- end }}
  {{- end }}
<%- else %>
  {{- if include "<[ plugin.name ]>.hasJobs" . }}
  connectorForTaskTypes:
    {{- range include "<[ plugin.name ]>.taskTypes" . | fromJsonArray }}
    {{ . | quote }}: {{ include "<[ plugin.name ]>.fullname" $ | quote }}
    {{- end }}
  {{- end }}
<%- endif %>
  webApi:
    resourceQuotas: {default: 1000}
    readRateLimiter: {qps: 200, burst: 1000}
    writeRateLimiter: {qps: 10, burst: 100}
    caching: {workers: 100, size: 500000, resyncInterval: 10s, maxSystemFailures: 5}
{{- end }}

{{/* Non-empty if Flyte must send a token of its ServiceAccount, which the sidecar adds. */}}
{{- define "<[ plugin.name ]>.usesProxy" -}}
{{- if not (or .Values.auth.insecureNoAuth .Values.auth.existingConfigMap (not .Values.auth.cluster.enabled)) }}yes{{ end -}}
{{- end }}

{{/* The sidecar's image; a registry that nobody named is left for the reader. */}}
{{- define "<[ plugin.name ]>.proxyImage" -}}
{{- $image := dict "root" . "image" .Values.flyte.proxy.image -}}
{{- $registry := include "<[ plugin.name ]>.registry" $image | default "YOUR-REGISTRY" -}}
{{ include "<[ plugin.name ]>.imageName" (merge (dict "registry" $registry) $image) }}
{{- end }}

{{/* The container that adds the token of the pod's ServiceAccount; `outrigger flyte-values` writes the same for several plugins. */}}
{{- define "<[ plugin.name ]>.flyteProxy" -}}
- name: propeller-proxy
  image: {{ include "<[ plugin.name ]>.proxyImage" . | quote }}
  args:
    - --route=127.0.0.1:{{ .Values.flyte.proxy.port }}={{ .Values.tls.enabled | ternary "https://" "dns:///" }}{{ include "<[ plugin.name ]>.headless" . }}
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
{{- define "<[ plugin.name ]>.flyteToken" -}}
- name: outrigger-token
  projected:
    sources:
      - serviceAccountToken: {audience: {{ .Values.auth.cluster.audience | quote }}, expirationSeconds: 3600, path: token}
{{- end }}
