//! Maps verified tokens to callers by rules.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{config::RuleFile, token::Verified};
use crate::context::{Caller, Grant, Role};

/// The rules in order; a token that matches none is refused.
pub(super) struct Policy(Vec<Rule>);

struct Rule {
    issuer: String,
    sub: Option<String>,
    client: Option<String>,
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
        Some(Caller::new(issuer, &token.identity, rule.role, grant))
    }

    /// Whether a rule has the client of `token` as its `sub`, which it is not.
    pub(super) fn has_client_as_sub(&self, token: &Verified) -> bool {
        token.client.is_some() && self.0.iter().any(|rule| rule.sub == token.client)
    }
}

impl From<RuleFile> for Rule {
    fn from(file: RuleFile) -> Self {
        Self {
            issuer: file.issuer,
            sub: file.sub,
            client: file.client,
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
            && is_wanted(self.sub.as_ref(), token.identity.sub())
            && is_wanted(self.client.as_ref(), token.client.as_deref())
            && self.scope_all.iter().all(has)
            && (self.scope_any.is_empty() || self.scope_any.iter().any(has))
            && self.claims.iter().all(|(name, value)| contains(token.claims.get(name), value))
    }
}

/// A rule without a value matches every token, one with a value only tokens that have it.
fn is_wanted(wanted: Option<&String>, value: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| value == Some(wanted))
}

fn contains(claim: Option<&Json>, value: &str) -> bool {
    match claim {
        Some(Json::Array(items)) => items.iter().any(|item| item == value),
        Some(single) => single == value,
        None => false,
    }
}
