{{/* What would install and then not work, or not be safe. */}}
{{- define "<[ plugin.name ]>.checks" -}}
{{- $auth := .Values.auth -}}
{{- if $auth.insecureNoAuth -}}
{{- if or $auth.existingConfigMap $auth.issuers $auth.rules -}}
{{- fail "auth.insecureNoAuth serves everybody: leave out auth.existingConfigMap, auth.issuers and auth.rules, or the insecure setting" -}}
{{- end -}}
{{- if or .Values.ingress.enabled .Values.httpRoute.enabled .Values.grpcRoute.enabled -}}
{{- fail "auth.insecureNoAuth would let everybody outside the cluster submit jobs: configure authentication before an ingress, httpRoute or grpcRoute" -}}
{{- end -}}
{{- else if $auth.existingConfigMap -}}
{{- if or $auth.issuers $auth.rules -}}
{{- fail "auth.issuers and auth.rules have no effect beside auth.existingConfigMap: put them into its auth.yaml" -}}
{{- end -}}
{{- else if not (or $auth.cluster.enabled (and $auth.issuers $auth.rules)) -}}
{{- fail "no authentication is configured: set auth.cluster.enabled, or auth.issuers with auth.rules, or auth.existingConfigMap; to serve everybody who reaches the port, set auth.insecureNoAuth" -}}
{{- end -}}
{{- $tls := .Values.tls -}}
{{- if $tls.enabled -}}
{{- if and $tls.existingSecret $tls.certificate.create -}}
{{- fail "tls.existingSecret and tls.certificate.create are two certificates: set one of them" -}}
{{- else if not (or $tls.existingSecret $tls.certificate.create) -}}
{{- fail "tls.enabled needs a certificate: set tls.existingSecret or tls.certificate.create" -}}
{{- else if and $tls.certificate.create (not $tls.certificate.issuerRef.name) -}}
{{- fail "tls.certificate.create needs tls.certificate.issuerRef.name" -}}
{{- end -}}
{{- if eq .Values.service.appProtocol "kubernetes.io/h2c" -}}
{{- fail "service.appProtocol kubernetes.io/h2c is HTTP/2 without TLS, which tls.enabled turns off: leave it empty" -}}
{{- end -}}
{{- else if has .Values.service.appProtocol (list "https" "tls") -}}
{{- fail "service.appProtocol says TLS, and tls.enabled is off" -}}
{{- end -}}
{{- $secrets := .Values.secrets -}}
{{- if and $secrets.csi.secretProviderClass (or $secrets.existingSecret $secrets.namespaces $secrets.externalSecret.enabled) -}}
{{- fail "secrets.csi takes the whole of /etc/secrets: use it alone, or the other secrets without it" -}}
{{- end -}}
{{- if and $secrets.externalSecret.enabled (not (and $secrets.externalSecret.storeName (or $secrets.externalSecret.data $secrets.externalSecret.dataFrom))) -}}
{{- fail "secrets.externalSecret needs storeName, and data or dataFrom" -}}
{{- end -}}
{{- if and (ne .Values.autoscaling.mode "none") (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]" (include "<[ plugin.name ]>.fullname" .)) -}}
{{- fail "a Service's name begins with a letter: name the release otherwise, or set fullnameOverride" -}}
{{- end -}}
{{- if and $auth.cluster.enabled (not $auth.insecureNoAuth) -}}
{{- range $auth.issuers -}}
{{- if eq .name "cluster" -}}
{{- fail "auth.issuers has one named cluster, which auth.cluster is: leave it out, or set auth.cluster.enabled to false" -}}
{{- else if eq .issuer $auth.cluster.issuer -}}
{{- fail (printf "the issuer of auth.issuers' %s is auth.cluster's: leave one of them out" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (hasSuffix "DualStack" .Values.service.ipFamilyPolicy) (not (hasPrefix "[" .Values.ports.host)) -}}
{{- fail "service.ipFamilyPolicy promises IPv6, which needs ports.host [::]" -}}
{{- end -}}
{{- if eq (int .Values.ports.api) (int .Values.ports.admin) -}}
{{- fail "ports.api and ports.admin are the same" -}}
{{- end -}}
{{- end }}
