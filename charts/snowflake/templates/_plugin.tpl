{{/* The task types that Flyte sends to this service, as JSON. */}}
{{- define "snowflake.taskTypes" -}}
{{- toJson .Values.flyte.taskTypes -}}
{{- end }}

{{/* Rejects settings with which the service would not start. */}}
{{- define "snowflake.checkSettings" -}}
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
{{- if not (hasKey $set "SNOWFLAKE_ACCOUNTS") -}}
{{- $missing = append $missing "settings.SNOWFLAKE_ACCOUNTS is not set: the accounts that tasks may name, separated by commas, such as ACMEORG-ANALYTICS" -}}
{{- end -}}
{{- if and $missing (not .Values.extraEnvFrom) -}}
{{- fail (join "; " $missing) -}}
{{- end -}}
{{- end }}
