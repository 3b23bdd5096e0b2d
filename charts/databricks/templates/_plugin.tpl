{{/* The task types that Flyte sends to this service, as JSON. */}}
{{- define "databricks.taskTypes" -}}
{{- toJson .Values.flyte.taskTypes -}}
{{- end }}

{{/* Rejects settings with which the service would not start. */}}
{{- define "databricks.checkSettings" -}}
{{- $set := dict -}}
{{- range .Values.extraEnv -}}
{{- $_ := set $set .name true -}}
{{- end -}}
{{- range $name, $value := .Values.settings -}}
{{- if ne (toString $value) "" -}}
{{- $_ := set $set $name true -}}
{{- end -}}
{{- end -}}
{{- $missing := list -}}
{{- if not (hasKey $set "DATABRICKS_INSTANCES") -}}
{{- $missing = append $missing "settings.DATABRICKS_INSTANCES is not set: the hosts of the workspaces that tasks may run in, separated by commas, such as acme.cloud.databricks.com" -}}
{{- end -}}
{{- if and $missing (not .Values.extraEnvFrom) -}}
{{- fail (join "; " $missing) -}}
{{- end -}}
{{- end }}
