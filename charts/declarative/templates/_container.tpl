{{/* Environment variables: those the chart derives, then `settings`. All others keep the service's defaults. */}}
{{- define "declarative.env" -}}
- name: PLUGIN_LISTEN
  value: {{ printf "%s:%d" .Values.ports.host (int .Values.ports.api) | quote }}
- name: PLUGIN_ADMIN_LISTEN
  value: {{ printf "%s:%d" .Values.ports.host (int .Values.ports.admin) | quote }}
{{- if .Values.tls.enabled }}
- name: PLUGIN_TLS_CERTIFICATE
  value: /etc/outrigger/tls/tls.crt
- name: PLUGIN_TLS_KEY
  value: /etc/outrigger/tls/tls.key
{{- end }}
{{- if .Values.auth.insecureNoAuth }}
- name: PLUGIN_INSECURE_NO_AUTH
  value: "true"
{{- else }}
- name: PLUGIN_AUTH
  value: /etc/outrigger/auth/auth.yaml
{{- end }}
{{- if include "declarative.hasJobs" . }}
- name: PLUGIN_HANDLE_KEYS
  value: {{ printf "/etc/outrigger/handle-keys/%s" (join ",/etc/outrigger/handle-keys/" .Values.handleKeys.files) | quote }}
{{- end }}
{{- if .Values.secrets.forbidInRequests }}
- name: PLUGIN_FORBID_CONNECTION_SECRETS
  value: "true"
{{- end }}
- name: PLUGIN_DRAIN_DELAY
  value: {{ printf "%ds" (int .Values.drain.delaySeconds) | quote }}
- name: PLUGIN_DRAIN_TIMEOUT
  value: {{ printf "%ds" (int .Values.drain.timeoutSeconds) | quote }}
- name: PLUGIN_LOG_LEVEL
  value: {{ .Values.log.level | quote }}
- name: PLUGIN_LOG_FORMAT
  value: {{ .Values.log.format | quote }}
{{- with .Values.otel.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ $.Values.otel.traceRatio | quote }}
{{- end }}
- name: DECLARATIVE_FILES
  value: /etc/outrigger/plugins
{{- include "declarative.settings" .Values.settings }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Environment variables from a map. */}}
{{- define "declarative.settings" -}}
{{- range $name, $value := . }}
{{- /* Helm parses YAML integers as floats, which print as 1e+06. */}}
{{- $text := kindIs "float64" $value | ternary (toJson $value) (toString $value) }}
{{- if $text }}
- name: {{ $name | quote }}
  value: {{ $text | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "declarative.volumeMounts" -}}
{{- if .Values.tls.enabled }}
- name: tls
  mountPath: /etc/outrigger/tls
  readOnly: true
{{- end }}
{{- if not .Values.auth.insecureNoAuth }}
- name: auth
  mountPath: /etc/outrigger/auth
  readOnly: true
{{- if .Values.auth.keysSecret }}
- name: issuers
  mountPath: /etc/outrigger/issuers
  readOnly: true
{{- end }}
{{- end }}
{{- if include "declarative.hasJobs" . }}
- name: handle-keys
  mountPath: /etc/outrigger/handle-keys
  readOnly: true
{{- end }}
{{- if include "declarative.readsCluster" . }}
- name: cluster
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end }}
- name: plugins
  mountPath: /etc/outrigger/plugins
  readOnly: true
{{- if .Values.serviceAccount.tokens }}
- name: tokens
  mountPath: /var/run/secrets/tokens
  readOnly: true
{{- end }}
{{- if include "declarative.secretsVolume" . }}
- name: secrets
  mountPath: /etc/secrets
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
