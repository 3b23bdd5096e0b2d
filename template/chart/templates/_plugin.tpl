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
<%- else %>
{{- toJson .Values.flyte.taskTypes -}}
<%- endif %>
{{- end }}
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
{{- if not (hasKey $set "<[ each.name ]>") -}}
{{- $missing = append $missing "settings.<[ each.name ]> is not set<% if each.is %>: <[ each.is.about ]>, such as <[ each.is.example ]><% else %>, and the service does not start without it<% endif %>" -}}
{{- end -}}
<%- endfor %>
{{- if and $missing (not .Values.extraEnvFrom) -}}
{{- fail (join "; " $missing) -}}
{{- end -}}
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
