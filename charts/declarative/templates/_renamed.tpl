{{/*
Values that had another name before 0.2. Their old names are accepted until 0.3; the notes after an install list those in use.
*/}}
{{- define "declarative.replicaCount" -}}
{{- hasKey .Values "replicas" | ternary .Values.replicas .Values.replicaCount -}}
{{- end }}

{{/* The autoscaler: none, hpa or keda. */}}
{{- define "declarative.autoscaler" -}}
{{- $own := .Values.autoscaling.keda.enabled | ternary "keda" "hpa" -}}
{{- .Values.autoscaling.mode | default (.Values.autoscaling.enabled | ternary $own "none") -}}
{{- end }}

{{- define "declarative.targetCPU" -}}
{{- .Values.autoscaling.cpuUtilization | default .Values.autoscaling.targetCPUUtilizationPercentage -}}
{{- end }}

{{/* The monitor: none, service or pod. */}}
{{- define "declarative.monitor" -}}
{{- $metrics := .Values.metrics -}}
{{- $own := $metrics.serviceMonitor.enabled | ternary "service" ($metrics.podMonitor.enabled | ternary "pod" "none") -}}
{{- $metrics.monitor | default $own -}}
{{- end }}

{{/* Labels and interval of the monitor. */}}
{{- define "declarative.monitorSettings" -}}
{{- $metrics := .Values.metrics -}}
{{- $own := eq (include "declarative.monitor" .) "pod" | ternary $metrics.podMonitor $metrics.serviceMonitor -}}
labels:
  {{- $metrics.monitorLabels | default $own.labels | toYaml | nindent 2 }}
interval: {{ $metrics.interval | default $own.interval }}
{{- end }}

{{/* Whether there are alerts, their labels and the additional ones. */}}
{{- define "declarative.prometheusRule" -}}
{{- $old := .Values.metrics.rules | default dict -}}
{{- $new := .Values.metrics.prometheusRule -}}
enabled: {{ hasKey $old "enabled" | ternary $old.enabled $new.enabled }}
labels:
  {{- $old.labels | default $new.labels | toYaml | nindent 2 }}
rules:
  {{- $old.extra | default $new.rules | toYaml | nindent 2 }}
{{- end }}

{{/* Host and paths of an entry of ingress.hosts, which used to be the host alone. */}}
{{- define "declarative.ingressHost" -}}
{{- $host := kindIs "string" . | ternary (dict "host" .) . -}}
host: {{ $host.host | quote }}
paths:
  {{- $host.paths | default (list (dict "path" "/" "pathType" "Prefix")) | toYaml | nindent 2 }}
{{- end }}

{{/* A line for each old name in use: the old and the new one. */}}
{{- define "declarative.renamed" -}}
{{- if hasKey .Values "replicas" }}
  replicas -> replicaCount
{{- end }}
{{- if .Values.autoscaling.mode }}
  autoscaling.mode -> autoscaling.enabled, autoscaling.keda.enabled
{{- end }}
{{- if .Values.autoscaling.cpuUtilization }}
  autoscaling.cpuUtilization -> autoscaling.targetCPUUtilizationPercentage
{{- end }}
{{- range .Values.ingress.hosts }}
{{- if kindIs "string" . }}
  ingress.hosts: {{ . }} -> ingress.hosts: {host: {{ . }}}
{{- end }}
{{- end }}
{{- range $old, $new := dict "monitor" "serviceMonitor.enabled or metrics.podMonitor.enabled" "monitorLabels" "serviceMonitor.labels" "interval" "serviceMonitor.interval" "rules" "prometheusRule" }}
{{- if hasKey $.Values.metrics $old }}
  metrics.{{ $old }} -> metrics.{{ $new }}
{{- end }}
{{- end }}
{{- if contains "." (splitList "/" .Values.image.repository | first) }}
  image.repository with a registry -> image.registry, image.repository
{{- end }}
{{- end }}
