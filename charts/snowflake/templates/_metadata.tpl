{{/*
Selector of the Deployment and the Services. It must never change, because a Deployment's selector is immutable. The chart's name
is its alias where it is a dependency, possibly more than once.
*/}}
{{- define "snowflake.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Selector of the `helm test` pod, which is not one of the service's pods. */}}
{{- define "snowflake.healthCheckSelector" -}}
app.kubernetes.io/name: {{ .Chart.Name | trunc 50 }}-health-check
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels of an object: ours take precedence over `labels`, and those over commonLabels. */}}
{{- define "snowflake.labels" -}}
{{- $root := .root -}}
{{- $standard := dict
      "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
      "app.kubernetes.io/version" ($root.Chart.AppVersion | replace "+" "_" | trunc 63 | trimSuffix "-")
      "app.kubernetes.io/managed-by" $root.Release.Service
      "app.kubernetes.io/part-of" "outrigger" -}}
{{- $selector := include "snowflake.selector" $root | fromYaml -}}
{{- merge $selector $standard (.labels | default dict) ($root.Values.commonLabels | default dict) | toYaml -}}
{{- end }}

{{/* The content of `metadata`. Arguments: root, and optionally suffix, labels and annotations. */}}
{{- define "snowflake.metadata" -}}
name: {{ printf "%s%s" (include "snowflake.fullname" .root) (.suffix | default "") | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "snowflake.labels" . | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Non-empty for plugins with jobs: a sync plugin has none, and seals no handles. */}}
{{- define "snowflake.hasJobs" -}}
{{- if ne (index .Chart.Annotations "outrigger/mode") "sync" }}yes{{ end -}}
{{- end }}

{{/* Prometheus selector for the series of this release's pods. */}}
{{- define "snowflake.series" -}}
namespace="{{ .Release.Namespace }}",pod=~"{{ include "snowflake.fullname" . }}-[a-z0-9]+-[a-z0-9]{5}"
{{- end }}

