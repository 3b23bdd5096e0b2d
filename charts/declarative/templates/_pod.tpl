{{/* Pod fields shared by the Deployment's pods and the test pod. */}}
{{- define "declarative.podBasics" -}}
serviceAccountName: {{ include "declarative.serviceAccountName" . | quote }}
automountServiceAccountToken: false
# The environment variables that Kubernetes derives from other Services are not settings.
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
  {{- include "declarative.podSecurityContext" $ | nindent 2 }}
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

{{/* The pod's security context; OpenShift assigns user and group IDs per namespace. */}}
{{- define "declarative.podSecurityContext" -}}
{{- $context := .Values.podSecurityContext -}}
{{- if and .Values.adaptToOpenShift (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end }}

{{/* DNS ports of a NetworkPolicy. */}}
{{- define "declarative.dnsPorts" -}}
{{- range .Values.networkPolicy.dnsPorts }}
- port: {{ . }}
  protocol: UDP
- port: {{ . }}
  protocol: TCP
{{- end }}
{{- end }}

{{- define "declarative.topologySpread" -}}
{{- $keys := dict "topology.kubernetes.io/zone" .Values.topologySpread.zone "kubernetes.io/hostname" .Values.topologySpread.host -}}
{{- range $key, $unsatisfiable := $keys }}
{{- if $unsatisfiable }}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: {{ $unsatisfiable }}
  labelSelector:
    matchLabels:
      {{- include "declarative.selector" $ | nindent 6 }}
  # Pods of the previous version are about to terminate and do not count.
  matchLabelKeys:
    - pod-template-hash
{{- end }}
{{- end }}
{{- end }}

{{/* Whether the cluster supports the `sleep` action: the image has no shell to run `sleep`. */}}
{{- define "declarative.preStopSeconds" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}{{ .Values.drain.preStopSeconds }}{{ else }}0{{ end -}}
{{- end }}

{{/* The maximum duration of draining, plus some time to flush traces. */}}
{{- define "declarative.terminationSeconds" -}}
{{- add (include "declarative.preStopSeconds" .) .Values.drain.delaySeconds .Values.drain.timeoutSeconds 10 -}}
{{- end }}
