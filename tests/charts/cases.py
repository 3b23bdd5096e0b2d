"""Values that people set, by purpose. `since` is the first Kubernetes version that has the fields."""

from charts import merged

PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
ISSUER = {"name": "idp", "issuer": "https://idp.example.com", "audiences": ["a"], "jwks": {"url": "https://idp.example.com/keys"}}
KEYED_ISSUER = {
    "name": "ci",
    "issuer": "https://ci.example.com",
    "audiences": ["a"],
    "key": {"pem_file": "/etc/outrigger/issuers/ci.pem"},
}
RULE = {"issuer": "idp", "role": "user", "claim": {"group": "data"}, "verbs": ["create", "get"], "targets": ["acme"]}
GATEWAY = {"enabled": True, "parentRefs": [{"name": "gateway", "namespace": "gateways"}], "hostnames": ["plugin.example.com"]}

SECRETS = {
    "existing": {"existingSecret": "credentials"},
    "of-a-namespace": {
        "namespaces": [{"namespace": "team-a", "existingSecret": "team-a", "items": [{"key": "token", "path": "vendor_token"}]}]
    },
    "external": {
        "externalSecret": {
            "enabled": True,
            "storeName": "vault",
            "data": [{"secretKey": "token", "remoteRef": {"key": "vendor"}}],
            "dataFrom": [{"extract": {"key": "vendor"}}],
        }
    },
    "csi": {"csi": {"secretProviderClass": "vendor"}},
}
OPENED = {
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "hosts": [{"host": "plugin.example.com"}],
        "tls": [{"hosts": ["plugin.example.com"], "secretName": "tls"}],
    },
    "httpRoute": GATEWAY,
    "grpcRoute": GATEWAY,
    "networkPolicy": {"clients": [PEER]},
}
TLS = {"tls": {"enabled": True, "certificate": {"create": True, "issuerRef": {"name": "internal", "kind": "ClusterIssuer"}}}}
TLS_MADE_ELSEWHERE = {"tls": {"enabled": True, "existingSecret": "certificate"}}
MONITORED = {"metrics": {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}}}
SCHEDULED = {
    "priorityClassName": "high",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "plugins", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
    "topologySpread": {"zone": "DoNotSchedule"},
    "hostUsers": False,
}
EXTRAS = {
    "settings": {"PLUGIN_MAX_REQUESTS": 1000000, "PLUGIN_REQUEST_TIMEOUT": "20s", "X_ON": True, "X_EMPTY": ""},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "extraEnvFrom": [{"configMapRef": {"name": "variables"}}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ssl/certs", "readOnly": True}],
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-map", "namespace": "flyte"}},
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-text\n  namespace: flyte\n",
    ],
}
IDENTITY = {
    "serviceAccount": {
        "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/plugin"},
        "tokens": [{"audience": "vendor.example.com", "path": "vendor", "expirationSeconds": 3600}],
    },
    "podLabels": {"azure.workload.identity/use": "true"},
    "networkPolicy": {"metadataServer": True},
}
EVERYTHING = merged(
    {"secrets": {**SECRETS["existing"], **SECRETS["of-a-namespace"], **SECRETS["external"], "forbidInRequests": True}},
    *(OPENED, TLS, MONITORED, SCHEDULED, EXTRAS, IDENTITY),
    {
        "image": {"digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "registry"}],
        "commonLabels": {"team": "data"},
        "commonAnnotations": {"example.com/contact": "data"},
        "podAnnotations": {"example.com/pod": "yes"},
        "flyte": {"podLabels": {"app": "flytepropeller"}},
        "auth": {"keysSecret": "issuers", "issuers": [ISSUER, KEYED_ISSUER], "rules": [RULE]},
        "handleKeys": {"files": ["handle.key", "next.key"]},
        "ports": {"host": "[::]"},
        "service": {"annotations": {"example.com/service": "yes"}, "ipFamilyPolicy": "PreferDualStack"},
        "networkPolicy": {
            "cidrs": ["10.0.0.0/8", "2001:db8::/32"],
            "extraIngress": [{"from": [PEER]}],
            "extraEgress": [{"ports": [{"port": 3128}]}],
        },
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "otel": {"endpoint": "http://otel-collector.monitoring:4317", "traceRatio": 0.25},
        "metrics": {"serviceMonitor": {"labels": {"release": "prometheus"}}, "prometheusRule": {"rules": [{"alert": "Mine", "expr": "vector(1)"}]}},
    },
)
MEMORY = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 80}}}
WORKING_HOURS = {"timezone": "UTC", "start": "0 6 * * *", "end": "0 20 * * *", "desiredReplicas": "5"}

MATRIX = {
    "defaults": {},
    "everything": EVERYTHING,
    "opened": OPENED,
    "tls": TLS,
    "tls-made-elsewhere": TLS_MADE_ELSEWHERE,
    "monitored": MONITORED,
    "scheduled": SCHEDULED,
    "extras": EXTRAS,
    "identity": IDENTITY,
    **{f"secrets-{name}": {"secrets": secrets} for name, secrets in SECRETS.items()},
    "one-replica": {"replicaCount": 1},
    "hpa": {"autoscaling": {"enabled": True, "metrics": [MEMORY]}},
    "hpa-from-one": {"autoscaling": {"enabled": True, "minReplicas": 1}},
    "keda": {
        "autoscaling": {
            "enabled": True,
            "keda": {"enabled": True, "prometheusAddress": "http://prometheus:9090", "triggers": [{"type": "cron", "metadata": WORKING_HOURS}]},
        }
    },
    "keda-from-one": {"autoscaling": {"enabled": True, "keda": {"enabled": True}, "minReplicas": 1}},
    "no-auth": {"auth": {"insecureNoAuth": True}, "flyte": {"podLabels": {"app": "flytepropeller"}}},
    "no-cluster-auth": {"auth": {"cluster": {"enabled": False}, "issuers": [ISSUER], "rules": [RULE]}},
    "made-elsewhere": {
        "auth": {"existingConfigMap": "auth"},
        "handleKeys": {"existingSecret": "keys"},
        "serviceAccount": {"create": False, "name": "account"},
    },
    "pod-monitor": {"metrics": {"podMonitor": {"enabled": True}}},
    "bare": {
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "topologySpread": {"zone": "", "host": ""},
        "drain": {"preStopSeconds": 0},
        **{name: None for name in ("strategy", "podSecurityContext", "securityContext", "resources", "settings")},
        "probes": {"startup": None, "liveness": {"periodSeconds": None, "timeoutSeconds": None, "failureThreshold": None}},
    },
}
