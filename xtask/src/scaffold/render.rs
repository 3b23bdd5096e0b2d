//! Renders the template for one plugin.
//!
//! There are two engines: `template/service` uses the syntax that Tera and Liquid share, so that
//! `cargo generate` can render it, too; `template/chart` and `template/docs` have other delimiters,
//! because Helm uses Tera's.

use anyhow::{Context as _, Result};
use heck::{ToKebabCase, ToPascalCase, ToShoutySnakeCase, ToSnakeCase, ToTitleCase};
use serde_json::json;
use tera::{Context, Delimiters, Kwargs, State, Tera};

use super::{
    chart_values,
    kind::{self, Kind},
    plugin_toml::PluginToml,
    project::Layout,
    task_type::TaskType,
    template::{Class, Source, Template},
};

/// A file as the template renders it for a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// Its path in the plugin's directory, or `chart/…` or `docs/…`.
    pub(crate) id: String,
    /// Its path relative to the repository's root.
    pub(crate) path: String,
    pub(crate) class: Class,
    pub(crate) text: String,
}

/// Both engines, with the template loaded.
pub(crate) struct Renderer<'a> {
    sources: Vec<Source<'a>>,
    service: Tera,
    chart: Tera,
    versions: Versions<'a>,
}

/// The versions that rendered files name.
#[derive(Clone, Copy)]
pub(crate) struct Versions<'a> {
    /// Of the repository's charts, images and packages.
    pub(crate) own: &'a str,
    /// Of Outrigger, whose `plugin-core` and bridge plugins take.
    pub(crate) outrigger: &'a str,
}

impl<'a> Versions<'a> {
    /// Those of a repository of the version `own`.
    pub(crate) fn of(own: &'a str) -> Self {
        Self { own, outrigger: env!("CARGO_PKG_VERSION") }
    }
}

impl<'a> Renderer<'a> {
    /// Loads `template`.
    ///
    /// # Errors
    /// If Tera cannot parse a file; the error names file and line.
    pub(crate) fn new(template: &'a Template, versions: Versions<'a>) -> Result<Self> {
        let mut service = engine(Delimiters::default())?;
        let mut chart = chart_engine(&[])?;
        let sources = template.sources()?;
        for source in &sources {
            let engine = if is_service(source.path) { &mut service } else { &mut chart };
            engine.add_raw_template(source.path, &template.files[source.path])?;
        }
        Ok(Self { sources, service, chart, versions })
    }

    /// All rendered files of `plugin`. Rust files are not yet formatted.
    ///
    /// # Errors
    /// If a template uses an undefined variable, or an overridden chart value does not exist.
    pub(crate) fn render(&self, plugin: &PluginToml, layout: Layout) -> Result<Vec<Rendered>> {
        let (service, chart) = (self.service_context(plugin)?, self.chart_context(plugin)?);
        let wanted = self.sources.iter().filter(|source| source.is_for(&plugin.plugin));
        wanted.map(|source| self.file(source, plugin, layout, &service, &chart)).collect()
    }

    fn file(
        &self,
        source: &Source<'_>,
        plugin: &PluginToml,
        layout: Layout,
        service: &Context,
        chart: &Context,
    ) -> Result<Rendered> {
        let rendered = if is_service(source.path) {
            self.service.render(source.path, service)
        } else {
            self.chart.render(source.path, chart)
        };
        let mut text = rendered.with_context(|| format!("template/{}", source.path))?;
        if source.path == chart_values::FILE {
            text = chart_values::overridden(&text, &plugin.chart.values)?;
        }
        let id = id(source.path);
        let path = layout.place(&plugin.plugin).path(&id);
        Ok(Rendered { id, path, class: source.class, text })
    }

    /// Variables that `cargo generate` has, too: its own, the placeholders, and those that derive.rhai
    /// sets. `cargo generate` supports only strings.
    fn service_context(&self, file: &PluginToml) -> Result<Context> {
        let plugin = &file.plugin;
        let types = plugin.all_task_types();
        let types =
            types.map(|each| [each.name.clone(), each.version.to_string()]).collect::<Vec<_>>();
        Ok(Context::from_serialize(&json!({
            "crate_name": plugin.name.to_snake_case(),
            "type_name": plugin.type_name(),
            "title": plugin.title(),
            "kind": plugin.kind,
            "language": plugin.language,
            "mode": plugin.mode,
            "core": plugin.core,
            "core_source": plugin.core_source.as_deref().unwrap_or_default(),
            "core_revision": plugin.core_revision.as_deref().unwrap_or_default(),
            "description": plugin.description,
            "owner": plugin.owner,
            "outrigger_version": self.versions.outrigger,
            "task_types": types,
            "api_port": file.ports.api.to_string(),
            "admin_port": file.ports.admin.to_string(),
        }))?)
    }

    fn chart_context(&self, file: &PluginToml) -> Result<Context> {
        let plugin = &file.plugin;
        Ok(Context::from_serialize(&json!({
            "plugin": {
                "name": plugin.name,
                "module": plugin.name.to_snake_case(),
                "type_name": plugin.type_name(),
                "kind": plugin.kind,
                "language": plugin.language,
                "core": plugin.core,
                "task_package": plugin.task_package,
                "title": plugin.title(),
                "description": plugin.description,
                "owner": plugin.owner,
                "mode": plugin.mode,
                "task_types": plugin.task_types,
                "env_prefix": plugin.name.to_shouty_snake_case(),
            },
            "directory": Layout::Workspace.place(plugin).directory(),
            "bundled": bundled(file),
            "required_settings": file.chart.required_settings(),
            "about_settings": about_settings(file),
            "ports": file.ports,
            "image": { "repository": image(file) },
            // What `cargo xtask image` and the notes call it.
            "image_name": match (plugin.kind, &*plugin.name) {
                (Kind::Bridge, _) => "--bridge",
                (Kind::Declarative, _) => "--declarative",
                (_, "bundle") => "--bundle",
                (_, name) => name,
            },
            "example_setting": match (plugin.kind, &*plugin.name) {
                (Kind::Declarative, _) => "DECLARATIVE_SET".to_owned(),
                (_, "bundle") => "PLUGIN_BUNDLE_PLUGINS".to_owned(),
                (_, name) => format!("{}_ENDPOINT", name.to_shouty_snake_case()),
            },
            "version": self.versions.own,
            "outrigger_version": self.versions.outrigger,
            "container": if plugin.kind == Kind::Bridge { "plugin" } else { "container" },
            // Where the chart's values of our own container are.
            "own": if plugin.kind == Kind::Bridge { ".Values.bridge" } else { ".Values" },
        }))?)
    }
}

/// The image repository of a plugin: the one that plugin.toml names, or its name, below the registry of the installation.
/// One image serves all plugins that are files.
pub(crate) fn image(file: &PluginToml) -> String {
    let own = match file.plugin.kind {
        Kind::Declarative => "declarative",
        Kind::Rust | Kind::Bridge => &file.plugin.name,
    };
    file.image.repository.clone().unwrap_or_else(|| own.to_owned())
}

/// What the required settings are, for the chart's template.
fn about_settings(file: &PluginToml) -> Vec<serde_json::Value> {
    let settings = file.chart.required_settings().into_iter();
    settings.map(|name| json!({ "name": name, "is": file.chart.required(name) })).collect()
}

/// The plugins in the bundle, for the chart's template.
fn bundled(file: &PluginToml) -> Vec<serde_json::Value> {
    let plugin =
        |(name, types): &(String, Vec<TaskType>)| json!({ "name": name, "task_types": types });
    file.bundled.iter().map(plugin).collect()
}

fn is_service(path: &str) -> bool {
    path.starts_with("service/")
}

fn id(path: &str) -> String {
    let path = kind::below_plugin(path);
    path.strip_suffix(".liquid").unwrap_or(path).to_owned()
}

fn engine(delimiters: Delimiters) -> Result<Tera> {
    let mut tera = Tera::new();
    tera.set_delimiters(delimiters)?;
    tera.autoescape_on(Vec::<&str>::new());
    // The filter names of `cargo generate`.
    case(&mut tera, "kebab_case", |text| text.to_kebab_case());
    case(&mut tera, "pascal_case", |text| text.to_pascal_case());
    case(&mut tera, "shouty_snake_case", |text| text.to_shouty_snake_case());
    case(&mut tera, "snake_case", |text| text.to_snake_case());
    case(&mut tera, "title_case", |text| text.to_title_case());
    Ok(tera)
}

fn case(tera: &mut Tera, name: &'static str, convert: fn(&str) -> String) {
    tera.register_filter(name, move |text: &str, _: Kwargs, _: &State<'_>| convert(text));
}

/// An engine that leaves Helm's braces alone, with `templates`, each with its name.
///
/// # Errors
/// If Tera cannot parse a template.
pub(crate) fn chart_engine(templates: &[(&str, &str)]) -> Result<Tera> {
    let mut tera = engine(Delimiters {
        block_start: "<%".into(),
        block_end: "%>".into(),
        variable_start: "<[".into(),
        variable_end: "]>".into(),
        comment_start: "<#".into(),
        comment_end: "#>".into(),
    })?;
    for (name, text) in templates {
        tera.add_raw_template(name, text)?;
    }
    Ok(tera)
}

#[cfg(test)]
mod tests {
    use super::{super::template::tests::template, *};

    fn plugin(more: &str) -> PluginToml {
        let text = format!(
            "schema = 1\n[plugin]\nname = \"s3-batch\"\ntask-types = [\"a\", \"b:2\"]\ndescription = \"d\"\n{more}"
        );
        PluginToml::parse(&text).unwrap()
    }

    fn rendered(path: &str, text: &str, plugin: &PluginToml) -> Result<Vec<Rendered>> {
        let template = template(&[(path, text)]);
        Renderer::new(&template, Versions::of("0.1.0"))?.render(plugin, Layout::Workspace)
    }

    #[test]
    fn service_files_use_tera_syntax() {
        let text = "{{ crate_name | kebab_case }} {{ type_name }}\n\
                    {%- for t in task_types %} {{ t[0] }}={{ t[1] }}{% endfor %}\n\
                    {% if mode == \"async\" -%}\njobs{% else -%}\ncalls{% endif %}\n";
        let files = rendered("service/main.rs", text, &plugin("")).unwrap();
        assert_eq!(files[0].text, "s3-batch S3Batch a=0 b=2\njobs\n");
        assert_eq!(files[0].path, "services/s3-batch/main.rs");
    }

    #[test]
    fn helm_braces_pass_through() {
        let text = "name: {{ .Release.Name }}-<[ plugin.name ]>\nimage: <[ image.repository ]>\n";
        let files = rendered("chart/templates/x.yaml", text, &plugin("")).unwrap();
        assert_eq!(files[0].text, "name: {{ .Release.Name }}-s3-batch\nimage: s3-batch\n");
        assert_eq!(files[0].path, "charts/s3-batch/templates/x.yaml");
    }

    #[test]
    fn undefined_variables_are_errors_with_the_file() {
        let error = rendered("chart/a.yaml", "x: <[ plugin.nam ]>", &plugin("")).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("template/chart/a.yaml") && error.contains("nam"), "{error}");
    }
}
