{{/* What every pod of the chart has, the Deployment's and the test's. */}}
{{- define "bigquery.podBasics" -}}
serviceAccountName: {{ include "bigquery.serviceAccountName" . }}
automountServiceAccountToken: false
# Variables of other Services are nobody's settings.
enableServiceLinks: false
{{- if not .Values.hostUsers }}
hostUsers: false
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- include "bigquery.podSecurityContext" $ | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The pod's security context; OpenShift gives each namespace users and groups of its own. */}}
{{- define "bigquery.podSecurityContext" -}}
{{- $context := .Values.podSecurityContext -}}
{{- if and .Values.adaptToOpenShift (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end }}

{{/* Where pods ask for names, of a NetworkPolicy. */}}
{{- define "bigquery.dnsPorts" -}}
{{- range .Values.networkPolicy.dnsPorts }}
- port: {{ . }}
  protocol: UDP
- port: {{ . }}
  protocol: TCP
{{- end }}
{{- end }}

{{- define "bigquery.topologySpread" -}}
{{- $keys := dict "topology.kubernetes.io/zone" .Values.topologySpread.zone "kubernetes.io/hostname" .Values.topologySpread.host -}}
{{- range $key, $unsatisfiable := $keys }}
{{- if $unsatisfiable }}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: {{ $unsatisfiable }}
  labelSelector:
    matchLabels:
      {{- include "bigquery.selector" $ | nindent 6 }}
  # Pods of the version before, which are about to go, do not count.
  matchLabelKeys:
    - pod-template-hash
{{- end }}
{{- end }}
{{- end }}

{{/* Whether the cluster has the `sleep` action: the image has no shell to sleep with. */}}
{{- define "bigquery.preStopSeconds" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}{{ .Values.drain.preStopSeconds }}{{ else }}0{{ end -}}
{{- end }}

{{/* All that draining may take, and a little to flush traces. */}}
{{- define "bigquery.terminationSeconds" -}}
{{- add (include "bigquery.preStopSeconds" .) .Values.drain.delaySeconds .Values.drain.timeoutSeconds 10 -}}
{{- end }}
