{{/*
Name of all objects: the release name, followed by ours unless it begins with ours. No two releases of this chart share a
name in a namespace (not even "prod" and "prod-athena"). It is at most 46 characters long, so that our suffixes and
Kubernetes' own (ReplicaSet, pod) fit into 63. A release name may be longer, and may contain dots, which are invalid in a
Service's name: it is then truncated and ends in a hash, so that such releases do not collide either.
*/}}
{{- define "athena.fullname" -}}
{{- $name := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (or (eq $name "athena") (hasPrefix "athena-" $name)) -}}
{{- $name = printf "%s-athena" $name -}}
{{- end -}}
{{- if or (gt (len $name) 46) (contains "." $name) -}}
{{- $name = printf "%s-%s" ($name | trunc 37 | replace "." "-" | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{- define "athena.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "athena.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* Name of the Secret that holds a handle key. Arguments: root, file. Each key has its own Secret, unless existingSecret holds all. */}}
{{- define "athena.handleKeySecret" -}}
{{- $own := printf "%s-key-%s" (include "athena.fullname" .root) (sha256sum .file | trunc 12) -}}
{{- .root.Values.handleKeys.existingSecret | default $own -}}
{{- end }}

{{- define "athena.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "athena.fullname" .)) -}}
{{- end }}

{{- define "athena.authConfigMap" -}}
{{- .Values.auth.existingConfigMap | default (printf "%s-auth" (include "athena.fullname" .)) -}}
{{- end }}

{{/* Name of an image. Arguments: root, image. */}}
{{- define "athena.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}
