{{/* The cluster as an issuer, and the rule for Flyte's ServiceAccount. */}}
{{- define "emr-serverless.clusterIssuer" -}}
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

{{- define "emr-serverless.clusterRule" -}}
issuer: cluster
sub: {{ printf "system:serviceaccount:%s:%s" .Values.flyte.namespace .Values.flyte.serviceAccount | quote }}
role: propeller
{{- end }}

{{/* The complete auth.yaml. */}}
{{- define "emr-serverless.authFile" -}}
{{- $issuers := .Values.auth.issuers | default list -}}
{{- $rules := .Values.auth.rules | default list -}}
{{- if .Values.auth.cluster.enabled -}}
{{- $issuers = prepend $issuers (include "emr-serverless.clusterIssuer" . | fromYaml) -}}
{{- $rules = prepend $rules (include "emr-serverless.clusterRule" . | fromYaml) -}}
{{- end -}}
{{- dict "issuers" $issuers "rules" $rules | toYaml -}}
{{- end }}

{{/* Non-empty if pods read the cluster's keys. */}}
{{- define "emr-serverless.readsCluster" -}}
{{- if and .Values.auth.cluster.enabled (not .Values.auth.insecureNoAuth) }}yes{{ end -}}
{{- end }}
