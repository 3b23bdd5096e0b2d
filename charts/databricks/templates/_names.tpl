{{/*
Name of everything. It ends at 46 characters, so that our suffixes and Kubernetes' own (ReplicaSet, pod) fit into 63;
a longer one is cut and ends in a hash, so that two long releases stay apart.
*/}}
{{- define "databricks.fullname" -}}
{{- $name := printf "%s-databricks" .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if contains "databricks" .Release.Name -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- if gt (len $name) 46 -}}
{{- $name = printf "%s-%s" ($name | trunc 37 | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- /* A release's name may have dots, a Service's may not. */ -}}
{{- $name | replace "." "-" -}}
{{- end }}

{{- define "databricks.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "databricks.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- define "databricks.handleKeysSecret" -}}
{{- .Values.handleKeys.existingSecret | default (printf "%s-handle-keys" (include "databricks.fullname" .)) -}}
{{- end }}

{{- define "databricks.authConfigMap" -}}
{{- .Values.auth.existingConfigMap | default (printf "%s-auth" (include "databricks.fullname" .)) -}}
{{- end }}

{{- define "databricks.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}
