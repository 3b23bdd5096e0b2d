//! What a service's authentication file makes of a token.

use std::path::Path;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use plugin_core::{Access, AuthenticationFile, Kind};
use secrecy::SecretString;
use serde_json::{Value as Json, json};
use xtask::exit::usage;

use crate::{progress, table::Table};

/// What a service would do.
pub(crate) struct Verdict {
    outcome: Result<Access, plugin_core::Error>,
    issuers: Vec<plugin_core::TrustedIssuer>,
    file: String,
}

impl Verdict {
    /// Asks the authentication file at `path` about `token`.
    pub(crate) async fn of(token: &SecretString, path: &Path) -> Result<Self> {
        let file = AuthenticationFile::read(path).map_err(|error| usage(error.to_string()))?;
        let outcome = progress::during("fetching the issuers' keys", file.access(token)).await;
        let issuers = file.issuers().to_vec();
        Ok(Self { outcome, issuers, file: path.display().to_string() })
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.outcome.is_ok()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        match &self.outcome {
            Ok(access) => accepted(access),
            Err(error) => self.refused(error),
        }
    }

    fn refused(&self, error: &plugin_core::Error) -> String {
        let bad = AnsiColor::Red.on_default().bold();
        let word = if error.kind() == Kind::Unavailable { "unknown" } else { "refused" };
        let because = error.chain().map(|chain| format!(" ({chain})")).unwrap_or_default();
        let mut table = Table::titled(&["ISSUER", "ISS", "AUDIENCES", "ALGORITHMS", "KEYS"]);
        for issuer in &self.issuers {
            let algorithms = issuer.algorithms.join(", ");
            let cells = [&issuer.name, &issuer.issuer, &issuer.audiences.join(", "), &algorithms];
            table.add(cells.into_iter().chain([&issuer.keys]).cloned());
        }
        let table = table.text();
        format!("{bad}{word}{bad:#}  {error}{because}\n\n{} trusts:\n\n{table}", self.file)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Json {
        match &self.outcome {
            Ok(access) => json!({
                "accepted": true,
                "issuer": access.issuer,
                "subject": access.subject,
                "role": access.role.name(),
                "verbs": access.verbs,
                "task_types": access.task_types,
                "targets": access.targets,
            }),
            Err(error) => json!({
                "accepted": false,
                "message": error.to_string(),
                "reason": error.chain(),
                "trusted_issuers": self.issuers.iter().map(|issuer| json!({
                    "name": issuer.name,
                    "issuer": issuer.issuer,
                    "audiences": issuer.audiences,
                    "algorithms": issuer.algorithms,
                    "keys": issuer.keys,
                })).collect::<Vec<_>>(),
            }),
        }
    }
}

fn accepted(access: &Access) -> String {
    let good = AnsiColor::Green.on_default().bold();
    let list = |items: &Option<Vec<String>>| match items {
        Some(items) => items.join(", "),
        None => "all".to_owned(),
    };
    let mut table = Table::default();
    let rows = [
        ("issuer", access.issuer.clone()),
        ("caller", access.subject.clone()),
        ("role", access.role.name().to_owned()),
        ("verbs", list(&access.verbs)),
        ("task types", list(&access.task_types)),
        ("targets", list(&access.targets)),
    ];
    for (name, value) in rows {
        table.add_styled([(format!("  {name}"), Style::new().dimmed()), (value, Style::new())]);
    }
    format!("{good}accepted{good:#}\n{}", table.text())
}
