{{/* The task types that Flyte sends to this service, as JSON. */}}
{{- define "sql.taskTypes" -}}
{{- toJson .Values.flyte.taskTypes -}}
{{- end }}

{{/* Rejects settings with which the service would not start. */}}
{{- define "sql.checkSettings" -}}
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
{{- if not (hasKey $set "SQL_CONNECTIONS_FILE") -}}
{{- $missing = append $missing "settings.SQL_CONNECTIONS_FILE is not set, and the service does not start without it" -}}
{{- end -}}
{{- if and $missing (not .Values.extraEnvFrom) -}}
{{- fail (join "; " $missing) -}}
{{- end -}}
{{- end }}
