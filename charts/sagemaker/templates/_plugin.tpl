{{/* The task types that Flyte sends to this service, as JSON. */}}
{{- define "sagemaker.taskTypes" -}}
{{- toJson .Values.flyte.taskTypes -}}
{{- end }}

{{/* Rejects settings with which the service would not start. */}}
{{- define "sagemaker.checkSettings" -}}
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
{{- if not (hasKey $set "AWS_EXECUTION_ROLES") -}}
{{- $missing = append $missing "settings.AWS_EXECUTION_ROLES is not set: patterns of the roles that jobs may have, separated by commas, such as arn:aws:iam::111122223333:role/ml-*" -}}
{{- end -}}
{{- if not (hasKey $set "AWS_REGION") -}}
{{- $missing = append $missing "settings.AWS_REGION is not set: the region of tasks that name none, such as eu-central-1" -}}
{{- end -}}
{{- if and $missing (not .Values.extraEnvFrom) -}}
{{- fail (join "; " $missing) -}}
{{- end -}}
{{- end }}
