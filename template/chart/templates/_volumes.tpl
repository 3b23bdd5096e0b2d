{{- define "<[ plugin.name ]>.volumes" -}}
{{- if .Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "<[ plugin.name ]>.tlsSecret" . | quote }}
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
    name: {{ include "<[ plugin.name ]>.authConfigMap" . | quote }}
{{- with .Values.auth.keysSecret }}
- name: issuers
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- if include "<[ plugin.name ]>.hasJobs" . }}
- name: handle-keys
  projected:
    defaultMode: 0440
    sources:
      {{- range .Values.handleKeys.files }}
      - secret:
          name: {{ include "<[ plugin.name ]>.handleKeySecret" (dict "root" $ "file" .) | quote }}
          items:
            - key: {{ . | quote }}
              path: {{ . | quote }}
      {{- end }}
{{- end }}
{{- if include "<[ plugin.name ]>.readsCluster" . }}
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
{{- with include "<[ plugin.name ]>.secretsVolume" . }}
- name: secrets
  {{- . | nindent 2 }}
{{- end }}
<%- if plugin.kind == "declarative" %>
- name: plugins
  configMap:
    name: {{ .Values.existingConfigMap | default (printf "%s-plugins" (include "<[ plugin.name ]>.fullname" .)) | quote }}
<%- endif %>
<%- if plugin.kind == "bridge" %>
- name: socket
  emptyDir:
    sizeLimit: 1Mi
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmpSize | quote }}
<%- endif %>
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The volume mounted at /etc/secrets; empty if there is none. */}}
{{- define "<[ plugin.name ]>.secretsVolume" -}}
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
        name: "{{ include "<[ plugin.name ]>.fullname" . }}-secrets"
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
