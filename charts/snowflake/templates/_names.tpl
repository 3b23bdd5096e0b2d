{{/*
Name of everything. It ends at 46 characters, so that our suffixes and Kubernetes' own (ReplicaSet, pod) fit into 63;
a longer one is cut and ends in a hash, so that two long releases stay apart.
*/}}
{{- define "snowflake.fullname" -}}
{{- $name := printf "%s-snowflake" .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if contains "snowflake" .Release.Name -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- if gt (len $name) 46 -}}
{{- $name = printf "%s-%s" ($name | trunc 37 | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- /* A release's name may have dots, a Service's may not. */ -}}
{{- $name | replace "." "-" -}}
{{- end }}

{{- define "snowflake.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "snowflake.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- define "snowflake.handleKeysSecret" -}}
{{- .Values.handleKeys.existingSecret | default (printf "%s-handle-keys" (include "snowflake.fullname" .)) -}}
{{- end }}

{{- define "snowflake.authConfigMap" -}}
{{- .Values.auth.existingConfigMap | default (printf "%s-auth" (include "snowflake.fullname" .)) -}}
{{- end }}

{{- define "snowflake.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}
