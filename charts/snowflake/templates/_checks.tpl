{{/* Rejects values that would install but not work, or not be safe. */}}
{{- define "snowflake.checks" -}}
{{- /* First, because it says where images come from. */ -}}
{{- $_ := include "snowflake.image" (dict "root" . "image" .Values.image) -}}
{{- include "snowflake.checkSettings" . -}}
{{- $auth := .Values.auth -}}
{{- if $auth.insecureNoAuth -}}
{{- if or $auth.existingConfigMap $auth.issuers $auth.rules -}}
{{- fail "auth.insecureNoAuth accepts unauthenticated requests: remove it, or remove auth.existingConfigMap, auth.issuers and auth.rules" -}}
{{- end -}}
{{- if or .Values.ingress.enabled .Values.httpRoute.enabled .Values.grpcRoute.enabled -}}
{{- fail "auth.insecureNoAuth with an ingress, httpRoute or grpcRoute would let anyone outside the cluster submit jobs: configure authentication first" -}}
{{- end -}}
{{- else if $auth.existingConfigMap -}}
{{- if or $auth.issuers $auth.rules -}}
{{- fail "auth.issuers and auth.rules have no effect with auth.existingConfigMap: put them into its auth.yaml" -}}
{{- end -}}
{{- else if not (or $auth.cluster.enabled (and $auth.issuers $auth.rules)) -}}
{{- fail "no authentication is configured: set auth.cluster.enabled, or auth.issuers with auth.rules, or auth.existingConfigMap; to accept unauthenticated requests, set auth.insecureNoAuth" -}}
{{- end -}}
{{- $metrics := .Values.metrics -}}
{{- if and $metrics.serviceMonitor.enabled $metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor and metrics.podMonitor would scrape each pod twice: enable one of them" -}}
{{- end -}}
{{- $tls := .Values.tls -}}
{{- if $tls.enabled -}}
{{- if and $tls.existingSecret $tls.certificate.create -}}
{{- fail "tls.existingSecret and tls.certificate.create are mutually exclusive: set one of them" -}}
{{- else if not (or $tls.existingSecret $tls.certificate.create) -}}
{{- fail "tls.enabled needs a certificate: set tls.existingSecret or tls.certificate.create" -}}
{{- else if and $tls.certificate.create (not $tls.certificate.issuerRef.name) -}}
{{- fail "tls.certificate.create needs tls.certificate.issuerRef.name" -}}
{{- end -}}
{{- if eq .Values.service.appProtocol "kubernetes.io/h2c" -}}
{{- fail "service.appProtocol kubernetes.io/h2c means HTTP/2 without TLS, but tls.enabled is on: leave it empty" -}}
{{- end -}}
{{- else if has .Values.service.appProtocol (list "https" "tls") -}}
{{- fail "service.appProtocol means TLS, but tls.enabled is off: leave it empty, or set tls.enabled" -}}
{{- end -}}
{{- $secrets := .Values.secrets -}}
{{- if and $secrets.csi.secretProviderClass (or $secrets.existingSecret $secrets.namespaces $secrets.externalSecret.enabled) -}}
{{- fail "secrets.csi mounts all of /etc/secrets: remove it, or remove secrets.existingSecret, secrets.namespaces and secrets.externalSecret" -}}
{{- end -}}
{{- if and $secrets.externalSecret.enabled (not (and $secrets.externalSecret.storeName (or $secrets.externalSecret.data $secrets.externalSecret.dataFrom))) -}}
{{- fail "secrets.externalSecret needs storeName, and data or dataFrom" -}}
{{- end -}}
{{- if and (ne (include "snowflake.autoscaler" .) "none") (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is greater than autoscaling.maxReplicas" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]" (include "snowflake.fullname" .)) -}}
{{- fail "a Service's name must begin with a letter: rename the release, or set fullnameOverride" -}}
{{- end -}}
{{- if and $auth.cluster.enabled (not $auth.insecureNoAuth) -}}
{{- range $auth.issuers -}}
{{- if eq .name "cluster" -}}
{{- fail "auth.issuers has an issuer named cluster, which is the name of auth.cluster: rename it, or set auth.cluster.enabled to false" -}}
{{- else if and $auth.cluster.issuer (eq .issuer $auth.cluster.issuer) -}}
{{- fail (printf "%s in auth.issuers has the same issuer as auth.cluster: remove one of them" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (hasSuffix "DualStack" (.Values.service.ipFamilyPolicy | default "")) (not (hasPrefix "[" .Values.ports.host)) -}}
{{- fail "service.ipFamilyPolicy includes IPv6, which needs ports.host [::]" -}}
{{- end -}}
{{- $variables := dict -}}
{{- range include "snowflake.env" . | fromYamlArray -}}
{{- if hasKey $variables .name -}}
{{- fail (printf "%s is set twice: set it once, in settings or in extraEnv, unless another value sets it" .name) -}}
{{- end -}}
{{- $_ := set $variables .name true -}}
{{- end -}}
{{- if eq (int .Values.ports.api) (int .Values.ports.admin) -}}
{{- fail "ports.api and ports.admin must differ" -}}
{{- end -}}
{{- end }}
