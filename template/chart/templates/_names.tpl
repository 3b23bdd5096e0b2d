{{/*
Name of everything. It ends at 46 characters, so that our suffixes and Kubernetes' own (ReplicaSet, pod) fit into 63;
a longer one is cut and ends in a hash, so that two long releases stay apart.
*/}}
{{- define "<[ plugin.name ]>.fullname" -}}
{{- $name := printf "%s-<[ plugin.name ]>" .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if contains "<[ plugin.name ]>" .Release.Name -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- if gt (len $name) 46 -}}
{{- $name = printf "%s-%s" ($name | trunc 37 | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- /* A release's name may have dots, a Service's may not. */ -}}
{{- $name | replace "." "-" -}}
{{- end }}

{{- define "<[ plugin.name ]>.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "<[ plugin.name ]>.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- define "<[ plugin.name ]>.handleKeysSecret" -}}
{{- .Values.handleKeys.existingSecret | default (printf "%s-handle-keys" (include "<[ plugin.name ]>.fullname" .)) -}}
{{- end }}

{{- define "<[ plugin.name ]>.authConfigMap" -}}
{{- .Values.auth.existingConfigMap | default (printf "%s-auth" (include "<[ plugin.name ]>.fullname" .)) -}}
{{- end }}

{{- define "<[ plugin.name ]>.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}
