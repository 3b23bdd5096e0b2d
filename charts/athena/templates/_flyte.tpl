{{/* Host and port of the headless Service, which resolves to the pods' addresses. */}}
{{- define "athena.headless" -}}
{{ include "athena.fullname" . }}-headless.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:{{ .Values.ports.api }}
{{- end }}

{{/* The endpoint that Flyte balances over. */}}
{{- define "athena.endpoint" -}}
dns:///{{ include "athena.headless" . }}
{{- end }}

{{/* Protocol of the API port, for meshes and gateways. */}}
{{- define "athena.appProtocol" -}}
{{- .Values.service.appProtocol | default (.Values.tls.enabled | ternary "https" "kubernetes.io/h2c") -}}
{{- end }}

{{/* The Flyte plugin that runs our task types. */}}
{{- define "athena.flyteTasks" -}}
task-plugins:
  default-for-task-types:
    {{- range .Values.flyte.taskTypes }}
    {{ . | quote }}: connector-service
    {{- end }}
{{- end }}

{{/*
Flyte's configuration of this connector. Timeouts are a list, because viper lowercases map keys. The retry policy
is safe: a repeated create starts no second job. connectorForTaskTypes would make a sync task async.
*/}}
{{- define "athena.flyteConnector" -}}
connector-service:
  # Helm replaces lists: add the task types of your other connectors here.
  supportedTaskTypes: {{ toJson .Values.flyte.taskTypes }}
  connectors:
    {{ include "athena.fullname" . | quote }}:
      endpoint: {{ include "athena.endpoint" . }}
      insecure: {{ not .Values.tls.enabled }}
      defaultTimeout: 10s
      {{- if include "athena.hasJobs" . }}
      timeouts: [{ListConnectors: 3s}, {CreateTask: 30s}, {GetTask: 10s}, {DeleteTask: 10s}]
      defaultServiceConfig: '{"loadBalancingConfig":[{"round_robin":{}}],"methodConfig":[{"name":[{"service":"flyteidl.service.AsyncAgentService"},{"service":"flyteidl2.connector.AsyncConnectorService"}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.2s","maxBackoff":"2s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}'
      {{- else }}
      timeouts: [{ListConnectors: 3s}, {ExecuteTaskSync: 30s}]
      defaultServiceConfig: '{"loadBalancingConfig":[{"round_robin":{}}]}'
      {{- end }}
  {{- if include "athena.hasJobs" . }}
  connectorForTaskTypes:
    {{- range .Values.flyte.taskTypes }}
    {{ . | quote }}: {{ include "athena.fullname" $ | quote }}
    {{- end }}
  {{- end }}
{{- end }}
