{{/* The task types that Flyte sends to this service, as JSON. */}}
{{- define "redshift.taskTypes" -}}
{{- toJson .Values.flyte.taskTypes -}}
{{- end }}

{{/* Rejects settings with which the service would not start. */}}
{{- define "redshift.checkSettings" -}}
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
{{- if not (hasKey $set "AWS_REGION") -}}
{{- $missing = append $missing "settings.AWS_REGION is not set: the region of tasks that name none, such as eu-central-1" -}}
{{- end -}}
{{- if not (hasKey $set "REDSHIFT_DATABASES") -}}
{{- $missing = append $missing "settings.REDSHIFT_DATABASES is not set: the databases that tasks may use, separated by commas, such as dev" -}}
{{- end -}}
{{- if not (or (hasKey $set "REDSHIFT_CLUSTERS") (hasKey $set "REDSHIFT_WORKGROUPS")) -}}
{{- $missing = append $missing "settings.REDSHIFT_WORKGROUPS is not set: the workgroups of Redshift Serverless that tasks may use, separated by commas, such as sales, unless settings.REDSHIFT_CLUSTERS is set" -}}
{{- end -}}
{{- if and $missing (not .Values.extraEnvFrom) -}}
{{- fail (join "; " $missing) -}}
{{- end -}}
{{- end }}
