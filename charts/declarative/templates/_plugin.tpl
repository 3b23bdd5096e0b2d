{{/* The task types that Flyte sends to this service, as JSON. */}}
{{- define "declarative.taskTypes" -}}
{{- $types := .Values.flyte.taskTypes -}}
{{- if not $types -}}
{{- range $text := include "declarative.plugins" . | fromJson -}}
{{- range ((fromYaml $text).plugin | default dict).task_types -}}
{{- $types = append $types (toString . | splitList ":" | first) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $types -}}
{{- end }}

{{/* The plugins' files by their names, as JSON; none if they are in a ConfigMap that exists. */}}
{{- define "declarative.plugins" -}}
{{- $files := dict -}}
{{- if not .Values.existingConfigMap -}}
{{- range $name, $text := .Values.plugins -}}
{{- $_ := set $files $name $text -}}
{{- end -}}
{{- with .Values.plugin -}}
{{- $_ := set $files "plugin" . -}}
{{- end -}}
{{- end -}}
{{- toJson $files -}}
{{- end }}

{{/* Those of the task types that are jobs, as JSON: not those of files that answer within the call. */}}
{{- define "declarative.jobTypes" -}}
{{- $others := list -}}
{{- range $text := include "declarative.plugins" . | fromJson -}}
{{- $file := fromYaml $text -}}
{{- if $file.execute -}}
{{- range ($file.plugin | default dict).task_types -}}
{{- $others = append $others (toString . | splitList ":" | first) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $jobs := list -}}
{{- range include "declarative.taskTypes" . | fromJsonArray -}}
{{- if not (has . $others) -}}
{{- $jobs = append $jobs . -}}
{{- end -}}
{{- end -}}
{{- toJson $jobs -}}
{{- end }}

{{/* What of the files needs a restart when it changes, as JSON: names, task types and ids of jobs. */}}
{{- define "declarative.readAtStart" -}}
{{- $all := dict -}}
{{- range $name, $text := include "declarative.plugins" . | fromJson -}}
{{- $file := fromYaml $text -}}
{{- $plugin := $file.plugin | default dict -}}
{{- $jobs := ($file.create | default dict).job | default dict | keys | sortAlpha -}}
{{- $_ := set $all $name (list $plugin.name $plugin.task_types $jobs) -}}
{{- end -}}
{{- toJson $all -}}
{{- end }}

{{/* Rejects files with which the service would not start, as far as a chart can tell. */}}
{{- define "declarative.checkPlugins" -}}
{{- if and .Values.existingConfigMap (or .Values.plugin .Values.plugins) -}}
{{- fail "plugin and plugins have no effect with existingConfigMap: put the files into it, or remove it" -}}
{{- end -}}
{{- $files := include "declarative.plugins" . | fromJson -}}
{{- if not (or $files .Values.existingConfigMap) -}}
{{- fail "plugin is not set: the file of a plugin, as in --set-file plugin=nomad.yaml; several are plugins, or existingConfigMap" -}}
{{- end -}}
{{- $set := toString ((.Values.settings | default dict).DECLARATIVE_SET | default "") -}}
{{- range .Values.extraEnv -}}
{{- if eq .name "DECLARATIVE_SET" -}}
{{- $set = .value | default "unknown" -}}
{{- end -}}
{{- end -}}
{{- $known := or .Values.extraEnvFrom (eq $set "unknown") | not -}}
{{- $set = splitList "," $set -}}
{{- range $name, $text := $files -}}
{{- $file := fromYaml $text -}}
{{- $error := $file.Error | default "" -}}
{{- $plugin := ($file.plugin | default dict).name -}}
{{- if or $error (not $plugin) -}}
{{- fail (printf "%s is no plugin's file%s: `outrigger plugin check FILE` says more" (eq $name "plugin" | ternary "plugin" (printf "plugins.%s" $name)) (empty $error | ternary "" (printf " (%s)" $error))) -}}
{{- end -}}
{{- range $setting, $declared := $file.settings -}}
{{- $is := false -}}
{{- range $set -}}
{{- if hasPrefix (printf "%s.%s=" $plugin $setting) (trim .) -}}
{{- $is = true -}}
{{- end -}}
{{- end -}}
{{- if and $known (not $is) (not (hasKey $declared "default")) -}}
{{- fail (printf "settings.DECLARATIVE_SET lacks %s.%s=…, without which the service does not start: %s" $plugin $setting $declared.description) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Rejects settings with which the service would not start. */}}
{{- define "declarative.checkSettings" -}}
{{- include "declarative.checkPlugins" . -}}
{{- end }}
