{{/* The task types that Flyte sends to this service, as JSON. */}}
{{- define "aws-batch.taskTypes" -}}
{{- toJson .Values.flyte.taskTypes -}}
{{- end }}

{{/* Rejects settings with which the service would not start. */}}
{{- define "aws-batch.checkSettings" -}}
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
{{- if not (hasKey $set "AWS_BATCH_JOB_QUEUES") -}}
{{- $missing = append $missing "settings.AWS_BATCH_JOB_QUEUES is not set: the job queues that tasks may use, separated by commas, such as etl" -}}
{{- end -}}
{{- if not (hasKey $set "AWS_REGION") -}}
{{- $missing = append $missing "settings.AWS_REGION is not set: the region of tasks that name none, such as eu-central-1" -}}
{{- end -}}
{{- if and $missing (not .Values.extraEnvFrom) -}}
{{- fail (join "; " $missing) -}}
{{- end -}}
{{- end }}
