{{/* The cluster as an issuer, and the rule for Flyte's ServiceAccount. */}}
{{- define "declarative.clusterIssuer" -}}
name: cluster
{{- if .Values.auth.cluster.issuer }}
issuer: {{ .Values.auth.cluster.issuer | quote }}
{{- else }}
# The service's own token has the issuer of this cluster.
issuer_token_file: /var/run/secrets/kubernetes.io/serviceaccount/token
{{- end }}
audiences:
  - {{ .Values.auth.cluster.audience | quote }}
{{- with .Values.auth.cluster.algorithms }}
algorithms:
  {{- toYaml . | nindent 2 }}
{{- end }}
jwks:
  url: https://kubernetes.default.svc/openid/v1/jwks
  ca_file: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
  bearer_token_file: /var/run/secrets/kubernetes.io/serviceaccount/token
{{- end }}

{{- define "declarative.clusterRule" -}}
issuer: cluster
sub: {{ printf "system:serviceaccount:%s:%s" .Values.flyte.namespace .Values.flyte.serviceAccount | quote }}
role: propeller
{{- end }}

{{/* The complete auth.yaml. */}}
{{- define "declarative.authFile" -}}
{{- $issuers := .Values.auth.issuers | default list -}}
{{- $rules := .Values.auth.rules | default list -}}
{{- if .Values.auth.cluster.enabled -}}
{{- $issuers = prepend $issuers (include "declarative.clusterIssuer" . | fromYaml) -}}
{{- $rules = prepend $rules (include "declarative.clusterRule" . | fromYaml) -}}
{{- end -}}
{{- dict "issuers" $issuers "rules" $rules | toYaml -}}
{{- end }}

{{/* Non-empty if pods read the cluster's keys. */}}
{{- define "declarative.readsCluster" -}}
{{- if and .Values.auth.cluster.enabled (not .Values.auth.insecureNoAuth) }}yes{{ end -}}
{{- end }}
