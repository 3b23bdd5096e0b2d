{{/*
Name of everything: the release's, with ours behind it unless it begins with ours. So no two releases of this chart have
one name in a namespace ("prod" and "prod-snowflake" neither). It ends at 46 characters, so that our suffixes and
Kubernetes' own (ReplicaSet, pod) fit into 63. A release's name may be longer, and may have dots, which a Service's may
not: then it is cut, and ends in a hash, so that such releases stay apart, too.
*/}}
{{- define "snowflake.fullname" -}}
{{- $name := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (or (eq $name "snowflake") (hasPrefix "snowflake-" $name)) -}}
{{- $name = printf "%s-snowflake" $name -}}
{{- end -}}
{{- if or (gt (len $name) 46) (contains "." $name) -}}
{{- $name = printf "%s-%s" ($name | trunc 37 | replace "." "-" | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{- define "snowflake.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "snowflake.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* Where the handle key of a file is: root, file. A Secret of its own, unless somebody else made one for all. */}}
{{- define "snowflake.handleKeySecret" -}}
{{- $own := printf "%s-key-%s" (include "snowflake.fullname" .root) (sha256sum .file | trunc 12) -}}
{{- .root.Values.handleKeys.existingSecret | default $own -}}
{{- end }}

{{- define "snowflake.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "snowflake.fullname" .)) -}}
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
