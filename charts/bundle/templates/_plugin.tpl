{{/* The task types that Flyte sends to this service, as JSON. */}}
{{- define "bundle.taskTypes" -}}
{{- if .Values.flyte.taskTypes -}}
{{ toJson .Values.flyte.taskTypes }}
{{- else -}}
{{- $served := include "bundle.served" . | fromJsonArray -}}
{{- $types := list -}}
{{- range $name, $all := include "bundle.bundled" . | fromJson -}}
{{- if or (not $served) (has $name $served) -}}
{{- $types = concat $types $all -}}
{{- end -}}
{{- end -}}
{{ toJson $types }}
{{- end -}}
{{- end }}

{{/* The plugins in the bundle, each with its task types, as JSON. */}}
{{- define "bundle.bundled" -}}
{"athena": ["presto", "hive", "athena"], "aws-batch": ["aws-batch"], "bigquery": ["bigquery_query_job_task"], "databricks": ["databricks"], "emr-serverless": ["emr_serverless"], "redshift": ["redshift"], "sagemaker": ["sagemaker-training-job", "sagemaker-processing-job", "sagemaker-transform-job", "sagemaker-hyperparameter-tuning-job", "sagemaker-inference-recommender-job", "sagemaker-endpoint", "sagemaker-training-task", "sagemaker-processing-task"], "snowflake": ["snowflake"]}
{{- end }}

{{/* The plugins that PLUGIN_BUNDLE_PLUGINS names, as JSON; empty, for all of them, if the chart cannot know its value. */}}
{{- define "bundle.served" -}}
{{- $names := (.Values.settings | default dict).PLUGIN_BUNDLE_PLUGINS | default "" -}}
{{- range .Values.extraEnv -}}
{{- if eq .name "PLUGIN_BUNDLE_PLUGINS" -}}
{{- $names = .value | default "" -}}
{{- end -}}
{{- end -}}
{{ toString $names | splitList "," | compact | toJson }}
{{- end }}

{{/* Rejects settings with which the service would not start. */}}
{{- define "bundle.checkSettings" -}}
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
{{- if not (hasKey $set "PLUGIN_BUNDLE_PLUGINS") -}}
{{- $missing = append $missing "settings.PLUGIN_BUNDLE_PLUGINS is not set: the plugins to serve, separated by commas, such as bigquery,snowflake" -}}
{{- end -}}
{{- if and $missing (not .Values.extraEnvFrom) -}}
{{- fail (join "; " $missing) -}}
{{- end -}}
{{- $all := include "bundle.bundled" . | fromJson | keys | sortAlpha -}}
{{- range include "bundle.served" . | fromJsonArray -}}
{{- if not (has . $all) -}}
{{- fail (printf "settings.PLUGIN_BUNDLE_PLUGINS: the bundle has no plugin %q; it has %s, which are separated by commas without spaces" . (join ", " $all)) -}}
{{- end -}}
{{- end -}}
{{- end }}
