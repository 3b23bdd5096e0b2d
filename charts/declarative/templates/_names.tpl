{{/*
Name of all objects: the release name, followed by ours unless it begins with ours. No two releases of this chart share a
name in a namespace (not even "prod" and "prod-declarative"). It is at most 46 characters long, so that our suffixes and
Kubernetes' own (ReplicaSet, pod) fit into 63. A release name may be longer, and may contain dots, which are invalid in a
Service's name: it is then truncated and ends in a hash, so that such releases do not collide either.
*/}}
{{- define "declarative.fullname" -}}
{{- $name := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (or (eq $name "declarative") (hasPrefix "declarative-" $name)) -}}
{{- $name = printf "%s-declarative" $name -}}
{{- end -}}
{{- if or (gt (len $name) 46) (contains "." $name) -}}
{{- $name = printf "%s-%s" ($name | trunc 37 | replace "." "-" | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{- define "declarative.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "declarative.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* Name of the Secret that holds a handle key. Arguments: root, file. Each key has its own Secret, unless existingSecret holds all. */}}
{{- define "declarative.handleKeySecret" -}}
{{- $own := printf "%s-key-%s" (include "declarative.fullname" .root) (sha256sum .file | trunc 12) -}}
{{- .root.Values.handleKeys.existingSecret | default $own -}}
{{- end }}

{{- define "declarative.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "declarative.fullname" .)) -}}
{{- end }}

{{- define "declarative.authConfigMap" -}}
{{- .Values.auth.existingConfigMap | default (printf "%s-auth" (include "declarative.fullname" .)) -}}
{{- end }}

{{/*
Name of an image. Arguments: root, image. Its registry is its own, that of `image`, or that of all charts; a repository
may still begin with one.
*/}}
{{- define "declarative.image" -}}
{{- $registry := include "declarative.registry" . -}}
{{- if not $registry -}}
{{- fail "image.registry is not set: a chart in a checkout names no registry, because none has its images. Build the image (cargo xtask image --declarative), push it to a registry of yours, and set image.registry to that, such as registry.example.com/team. Packaged charts of a release have it set" -}}
{{- end -}}
{{ include "declarative.imageName" (merge (dict "registry" $registry) .) }}
{{- end }}

{{/* The registry of an image, and a path in it; empty if nobody named one. Arguments: root, image. */}}
{{- define "declarative.registry" -}}
{{- $global := (.root.Values.global | default dict).imageRegistry | default "" -}}
{{- $host := splitList "/" .image.repository | first -}}
{{- if and (contains "/" .image.repository) (or (contains "." $host) (contains ":" $host) (eq $host "localhost")) -}}
-
{{- else -}}
{{- .image.registry | default .root.Values.image.registry | default $global -}}
{{- end -}}
{{- end }}

{{/* Arguments: root, image, registry; `-` for a repository that has its own. */}}
{{- define "declarative.imageName" -}}
{{- $name := eq .registry "-" | ternary .image.repository (printf "%s/%s" (trimSuffix "/" .registry) .image.repository) -}}
{{- if .image.digest -}}
{{ $name }}@{{ .image.digest }}
{{- else -}}
{{ $name }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}
