{{/* The task types that Flyte sends to this service, as JSON. */}}
{{- define "<[ plugin.name ]>.taskTypes" -}}
<%- if bundled %>
{{- if .Values.flyte.taskTypes -}}
{{ toJson .Values.flyte.taskTypes }}
{{- else -}}
{{- $served := include "<[ plugin.name ]>.served" . | fromJsonArray -}}
{{- $types := list -}}
{{- range $name, $all := include "<[ plugin.name ]>.bundled" . | fromJson -}}
{{- if or (not $served) (has $name $served) -}}
{{- $types = concat $types $all -}}
{{- end -}}
{{- end -}}
{{ toJson $types }}
{{- end -}}
<%- elif plugin.kind == "declarative" %>
{{- $types := .Values.flyte.taskTypes -}}
{{- if not $types -}}
{{- range $text := include "<[ plugin.name ]>.plugins" . | fromJson -}}
{{- range ((fromYaml $text).plugin | default dict).task_types -}}
{{- $types = append $types (toString . | splitList ":" | first) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $types -}}
<%- else %>
{{- toJson .Values.flyte.taskTypes -}}
<%- endif %>
{{- end }}
<%- if plugin.kind == "declarative" %>

{{/* The plugins' files by their names, as JSON; none if they are in a ConfigMap that exists. */}}
{{- define "<[ plugin.name ]>.plugins" -}}
{{- $files := dict -}}
{{- if not .Values.existingConfigMap -}}
{{- range $name, $text := .Values.plugins -}}
{{- $_ := set $files $name $text -}}
{{- end -}}
{{- with .Values.plugin -}}
{{- $_ := set $files "plugin" . -}}
{{- end -}}
<%- if plugin.task_types %>
{{- if not $files -}}
{{- $_ := set $files "plugin" (.Files.Get "files/plugin.yaml") -}}
{{- end -}}
<%- endif %>
{{- end -}}
{{- toJson $files -}}
{{- end }}

{{/* Those of the task types that are jobs, as JSON: not those of files that answer within the call. */}}
{{- define "<[ plugin.name ]>.jobTypes" -}}
{{- $others := list -}}
{{- range $text := include "<[ plugin.name ]>.plugins" . | fromJson -}}
{{- $file := fromYaml $text -}}
{{- if $file.execute -}}
{{- range ($file.plugin | default dict).task_types -}}
{{- $others = append $others (toString . | splitList ":" | first) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $jobs := list -}}
{{- range include "<[ plugin.name ]>.taskTypes" . | fromJsonArray -}}
{{- if not (has . $others) -}}
{{- $jobs = append $jobs . -}}
{{- end -}}
{{- end -}}
{{- toJson $jobs -}}
{{- end }}

{{/* What of the files needs a restart when it changes, as JSON: names, task types and ids of jobs. */}}
{{- define "<[ plugin.name ]>.readAtStart" -}}
{{- $all := dict -}}
{{- range $name, $text := include "<[ plugin.name ]>.plugins" . | fromJson -}}
{{- $file := fromYaml $text -}}
{{- $plugin := $file.plugin | default dict -}}
{{- $jobs := ($file.create | default dict).job | default dict | keys | sortAlpha -}}
{{- $_ := set $all $name (list $plugin.name $plugin.task_types $jobs) -}}
{{- end -}}
{{- toJson $all -}}
{{- end }}

{{/* Rejects files with which the service would not start, as far as a chart can tell. */}}
{{- define "<[ plugin.name ]>.checkPlugins" -}}
{{- if and .Values.existingConfigMap (or .Values.plugin .Values.plugins) -}}
{{- fail "plugin and plugins have no effect with existingConfigMap: put the files into it, or remove it" -}}
{{- end -}}
{{- $files := include "<[ plugin.name ]>.plugins" . | fromJson -}}
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
<%- if plugin.mode == "sync" %>
{{- if $file.create -}}
{{- fail (printf "%s has jobs (create), and this chart has no key for their handles: set mode = \"async\" in plugin.toml and sync, or install Outrigger's chart `declarative`" (eq $name "plugin" | ternary "plugin" (printf "plugins.%s" $name))) -}}
{{- end -}}
<%- endif %>
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
<%- endif %>
<%- if bundled %>

{{/* The plugins in the bundle, each with its task types, as JSON. */}}
{{- define "<[ plugin.name ]>.bundled" -}}
{<% for each in bundled %><% if not loop.first %>, <% endif %>"<[ each.name ]>": [<% for t in each.task_types %><% if not loop.first %>, <% endif %>"<[ t.name ]>"<% endfor %>]<% endfor %>}
{{- end }}

{{/* The plugins that PLUGIN_BUNDLE_PLUGINS names, as JSON; empty, for all of them, if the chart cannot know its value. */}}
{{- define "<[ plugin.name ]>.served" -}}
{{- $names := (.Values.settings | default dict).PLUGIN_BUNDLE_PLUGINS | default "" -}}
{{- range .Values.extraEnv -}}
{{- if eq .name "PLUGIN_BUNDLE_PLUGINS" -}}
{{- $names = .value | default "" -}}
{{- end -}}
{{- end -}}
{{ toString $names | splitList "," | compact | toJson }}
{{- end }}
<%- endif %>

{{/* Rejects settings with which the service would not start. */}}
{{- define "<[ plugin.name ]>.checkSettings" -}}
<%- if about_settings %>
{{- $set := dict -}}
{{- range .Values.extraEnv -}}
{{- $_ := set $set .name true -}}
{{- end -}}
{{- range $name, $value := .Values.settings -}}
{{- if ne (toString $value) "" -}}
{{- $_ := set $set $name true -}}
{{- end -}}
{{- end -}}
{{- $missing := list -}}
<%- for each in about_settings %>
{{- if not (<% if each.is and each.is.unless %>or (hasKey $set "<[ each.is.unless ]>") (hasKey $set "<[ each.name ]>")<% else %>hasKey $set "<[ each.name ]>"<% endif %>) -}}
{{- $missing = append $missing "settings.<[ each.name ]> is not set<% if each.is %>: <[ each.is.about ]>, such as <[ each.is.example ]><% if each.is.unless %>, unless settings.<[ each.is.unless ]> is set<% endif %><% else %>, and the service does not start without it<% endif %>" -}}
{{- end -}}
<%- endfor %>
{{- if and $missing (not .Values.extraEnvFrom) -}}
{{- fail (join "; " $missing) -}}
{{- end -}}
<%- endif %>
<%- if plugin.kind == "declarative" %>
{{- include "<[ plugin.name ]>.checkPlugins" . -}}
<%- endif %>
<%- if bundled %>
{{- $all := include "<[ plugin.name ]>.bundled" . | fromJson | keys | sortAlpha -}}
{{- range include "<[ plugin.name ]>.served" . | fromJsonArray -}}
{{- if not (has . $all) -}}
{{- fail (printf "settings.PLUGIN_BUNDLE_PLUGINS: the bundle has no plugin %q; it has %s, which are separated by commas without spaces" . (join ", " $all)) -}}
{{- end -}}
{{- end -}}
<%- endif %>
{{- end }}
