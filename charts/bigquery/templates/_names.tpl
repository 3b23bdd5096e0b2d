{{/*
Name of everything: the release's, with ours behind it unless it begins with ours. So no two releases of this chart have
one name in a namespace ("prod" and "prod-bigquery" neither). It ends at 46 characters, so that our suffixes and
Kubernetes' own (ReplicaSet, pod) fit into 63. A release's name may be longer, and may have dots, which a Service's may
not: then it is cut, and ends in a hash, so that such releases stay apart, too.
*/}}
{{- define "bigquery.fullname" -}}
{{- $name := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (or (eq $name "bigquery") (hasPrefix "bigquery-" $name)) -}}
{{- $name = printf "%s-bigquery" $name -}}
{{- end -}}
{{- if or (gt (len $name) 46) (contains "." $name) -}}
{{- $name = printf "%s-%s" ($name | trunc 37 | replace "." "-" | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{- define "bigquery.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "bigquery.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* Where the handle key of a file is: root, file. A Secret of its own, unless somebody else made one for all. */}}
{{- define "bigquery.handleKeySecret" -}}
{{- $own := printf "%s-key-%s" (include "bigquery.fullname" .root) (sha256sum .file | trunc 12) -}}
{{- .root.Values.handleKeys.existingSecret | default $own -}}
{{- end }}

{{- define "bigquery.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "bigquery.fullname" .)) -}}
{{- end }}

{{- define "bigquery.authConfigMap" -}}
{{- .Values.auth.existingConfigMap | default (printf "%s-auth" (include "bigquery.fullname" .)) -}}
{{- end }}

{{- define "bigquery.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}
