{{/* The pods' own addresses, by name and port. */}}
{{- define "databricks.headless" -}}
{{ include "databricks.fullname" . }}-headless.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:{{ .Values.ports.api }}
{{- end }}

{{/* Where Flyte finds every pod. */}}
{{- define "databricks.endpoint" -}}
dns:///{{ include "databricks.headless" . }}
{{- end }}

{{/* What the API port speaks, as meshes and gateways are told. */}}
{{- define "databricks.appProtocol" -}}
{{- .Values.service.appProtocol | default (.Values.tls.enabled | ternary "https" "kubernetes.io/h2c") -}}
{{- end }}

{{/* Which plugin of Flyte's runs our task types. */}}
{{- define "databricks.flyteTasks" -}}
task-plugins:
  default-for-task-types:
    {{- range .Values.flyte.taskTypes }}
    {{ . }}: connector-service
    {{- end }}
{{- end }}

{{/*
Flyte's configuration of this connector. Timeouts are a list, because viper lowers the case of map keys. The retry policy
is safe: a repeated create starts no second job. connectorForTaskTypes would make a sync task async.
*/}}
{{- define "databricks.flyteConnector" -}}
connector-service:
  # Helm replaces lists: name the task types of your other connectors here, too.
  supportedTaskTypes: [{{ join ", " .Values.flyte.taskTypes }}]
  connectors:
    {{ include "databricks.fullname" . }}:
      endpoint: {{ include "databricks.endpoint" . }}
      insecure: {{ not .Values.tls.enabled }}
      defaultTimeout: 10s
      {{- if include "databricks.hasJobs" . }}
      timeouts: [{ListConnectors: 3s}, {CreateTask: 30s}, {GetTask: 10s}, {DeleteTask: 10s}]
      defaultServiceConfig: '{"loadBalancingConfig":[{"round_robin":{}}],"methodConfig":[{"name":[{"service":"flyteidl.service.AsyncAgentService"},{"service":"flyteidl2.connector.AsyncConnectorService"}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.2s","maxBackoff":"2s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}'
      {{- else }}
      timeouts: [{ListConnectors: 3s}, {ExecuteTaskSync: 30s}]
      defaultServiceConfig: '{"loadBalancingConfig":[{"round_robin":{}}]}'
      {{- end }}
  {{- if include "databricks.hasJobs" . }}
  connectorForTaskTypes:
    {{- range .Values.flyte.taskTypes }}
    {{ . }}: {{ include "databricks.fullname" $ }}
    {{- end }}
  {{- end }}
{{- end }}
