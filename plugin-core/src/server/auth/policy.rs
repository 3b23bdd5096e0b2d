//! Maps verified tokens to callers by rules.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{config::RuleFile, token::Verified};
use crate::context::{Caller, Grant, Role};

/// The rules in order; a token that matches none is refused.
pub(super) struct Policy(Vec<Rule>);

struct Rule {
    issuer: String,
    subject: Option<String>,
    scope_all: Vec<String>,
    scope_any: Vec<String>,
    claims: Vec<(String, String)>,
    role: Role,
    grant: Arc<Grant>,
}

impl Policy {
    pub(super) fn new(rules: Vec<RuleFile>) -> Self {
        Self(rules.into_iter().map(Rule::from).collect())
    }

    /// The caller of `token`, by the first matching rule.
    pub(super) fn caller(&self, token: &Verified) -> Option<Caller> {
        let rule = self.0.iter().find(|rule| rule.matches(token))?;
        let (issuer, grant) = (Arc::clone(&token.issuer), Arc::clone(&rule.grant));
        Some(Caller::new(issuer, &token.subject, rule.role, grant))
    }
}

impl From<RuleFile> for Rule {
    fn from(file: RuleFile) -> Self {
        Self {
            issuer: file.issuer,
            subject: file.sub,
            scope_all: file.scope_all,
            scope_any: file.scope_any,
            claims: file.claim.into_iter().collect(),
            role: file.role,
            grant: Arc::new(Grant {
                verbs: file.verbs,
                task_types: file.tasks,
                targets: file.targets,
            }),
        }
    }
}

impl Rule {
    fn matches(&self, token: &Verified) -> bool {
        let has = |scope: &String| token.scopes.contains(scope);
        *self.issuer == *token.issuer
            && self.subject.as_ref().is_none_or(|subject| *subject == token.subject)
            && self.scope_all.iter().all(has)
            && (self.scope_any.is_empty() || self.scope_any.iter().any(has))
            && self.claims.iter().all(|(name, value)| contains(token.claims.get(name), value))
    }
}

fn contains(claim: Option<&Json>, value: &str) -> bool {
    match claim {
        Some(Json::Array(items)) => items.iter().any(|item| item == value),
        Some(single) => single == value,
        None => false,
    }
}
