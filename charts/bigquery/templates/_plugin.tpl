{{/* The task types that Flyte sends to this service, as JSON. */}}
{{- define "bigquery.taskTypes" -}}
{{- toJson .Values.flyte.taskTypes -}}
{{- end }}

{{/* Rejects settings with which the service would not start. */}}
{{- define "bigquery.checkSettings" -}}
{{- end }}
