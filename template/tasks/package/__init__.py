"""Flyte tasks for <[ plugin.title ]>.

<% if plugin.mode == "async" -%>
`.flytekit` has the one for Flyte 1, `.flyte` the one for Flyte 2.
<% else -%>
`.flytekit` has the one for Flyte 1.
<% endif -%>
"""
