{{- define "declarative.volumes" -}}
{{- if .Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "declarative.tlsSecret" . | quote }}
    defaultMode: 0440
    items:
      - key: tls.crt
        path: tls.crt
      - key: tls.key
        path: tls.key
{{- end }}
{{- if not .Values.auth.insecureNoAuth }}
- name: auth
  configMap:
    name: {{ include "declarative.authConfigMap" . | quote }}
{{- with .Values.auth.keysSecret }}
- name: issuers
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- if include "declarative.hasJobs" . }}
- name: handle-keys
  projected:
    defaultMode: 0440
    sources:
      {{- range .Values.handleKeys.files }}
      - secret:
          name: {{ include "declarative.handleKeySecret" (dict "root" $ "file" .) | quote }}
          items:
            - key: {{ . | quote }}
              path: {{ . | quote }}
      {{- end }}
{{- end }}
{{- if include "declarative.readsCluster" . }}
# What automounting would mount, without the namespace. It is only used to read the cluster's keys.
- name: cluster
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
{{- end }}
{{- if .Values.serviceAccount.tokens }}
- name: tokens
  projected:
    defaultMode: 0440
    sources:
      {{- range .Values.serviceAccount.tokens }}
      - serviceAccountToken:
          {{- toYaml . | nindent 10 }}
      {{- end }}
{{- end }}
{{- with include "declarative.secretsVolume" . }}
- name: secrets
  {{- . | nindent 2 }}
{{- end }}
- name: plugins
  configMap:
    name: {{ .Values.existingConfigMap | default (printf "%s-plugins" (include "declarative.fullname" .)) | quote }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The volume mounted at /etc/secrets; empty if there is none. */}}
{{- define "declarative.secretsVolume" -}}
{{- $secrets := .Values.secrets -}}
{{- if $secrets.csi.secretProviderClass -}}
csi:
  driver: {{ $secrets.csi.driver | quote }}
  readOnly: true
  volumeAttributes:
    secretProviderClass: {{ $secrets.csi.secretProviderClass | quote }}
{{- else if or $secrets.existingSecret $secrets.externalSecret.enabled $secrets.namespaces -}}
projected:
  defaultMode: 0440
  sources:
    {{- with $secrets.existingSecret }}
    - secret:
        name: {{ . | quote }}
    {{- end }}
    {{- if $secrets.externalSecret.enabled }}
    - secret:
        name: "{{ include "declarative.fullname" . }}-secrets"
    {{- end }}
    {{- range $secrets.namespaces }}
    {{- $namespace := .namespace }}
    - secret:
        name: {{ .existingSecret | quote }}
        items:
          {{- range .items }}
          - key: {{ .key | quote }}
            path: "{{ $namespace }}/{{ .path }}"
          {{- end }}
    {{- end }}
{{- end -}}
{{- end }}
