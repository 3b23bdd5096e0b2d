//! Maps verified tokens to callers by rules.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{
    config::RuleFile,
    failure::{any_of, quoted},
    token::Verified,
};
use crate::context::{Caller, Grant, Role};

/// The most rules that are logged.
const MOST_RULES: usize = 5;

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

    /// Why no rule matches `token`, for the log: the first claim that each rule of its issuer expects in vain.
    pub(super) fn misses(&self, token: &Verified) -> String {
        let mut rules = self.0.iter().filter(|rule| *rule.issuer == *token.issuer);
        let misses = rules.by_ref().take(MOST_RULES).map(|rule| rule.misses(token));
        let misses = misses.collect::<Vec<_>>().join(" or ");
        let more = if rules.next().is_some() { " or another rule" } else { "" };
        let expected = match &*misses {
            "" => "no rule is for this issuer".to_owned(),
            misses => format!("expected {misses}{more}"),
        };
        let (issuer, said) = (&token.issuer, token.identity.sub().map_or_else(missing, quoted));
        let client = token.client.as_deref().map_or_else(missing, quoted);
        let advice = match self.has_client_as_sub(token) {
            true => "; a rule has the token's client as sub: write client",
            false => "",
        };
        format!("issuer {issuer}: sub is {said}, client is {client}; {expected}{advice}")
    }

    /// Whether a rule has the client of `token` as its `sub`, which it is not.
    fn has_client_as_sub(&self, token: &Verified) -> bool {
        token.client.is_some() && self.0.iter().any(|rule| rule.sub == token.client)
    }
}

fn missing() -> String {
    "missing".to_owned()
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
        *self.issuer == *token.issuer && self.unmet(token).is_none()
    }

    /// The first condition that `token` does not meet.
    fn unmet(&self, token: &Verified) -> Option<Unmet<'_>> {
        let lacks = |scope: &&String| !token.scopes.contains(*scope);
        let is_other = |(name, value): &&(String, String)| !contains(token.claims.get(name), value);
        if let Some(sub) = unwanted(self.sub.as_ref(), token.identity.sub()) {
            return Some(Unmet::Sub(sub));
        }
        if let Some(client) = unwanted(self.client.as_ref(), token.client.as_deref()) {
            return Some(Unmet::Client(client));
        }
        if let Some(scope) = self.scope_all.iter().find(lacks) {
            return Some(Unmet::Scope(std::slice::from_ref(scope)));
        }
        if !self.scope_any.is_empty() && self.scope_any.iter().all(|scope| lacks(&scope)) {
            return Some(Unmet::Scope(&self.scope_any));
        }
        self.claims.iter().find(is_other).map(|(name, value)| Unmet::Claim(name, value))
    }

    /// What [`unmet`](Self::unmet) expects, for the log.
    fn misses(&self, token: &Verified) -> String {
        match self.unmet(token) {
            Some(Unmet::Sub(sub)) => format!("sub {}", quoted(sub)),
            Some(Unmet::Client(client)) => format!("client {}", quoted(client)),
            Some(Unmet::Scope(scopes)) => {
                format!("scope {}", any_of(scopes.iter().map(|it| quoted(it))))
            }
            Some(Unmet::Claim(name, value)) => format!("claim {name} {}", quoted(value)),
            None => String::new(),
        }
    }
}

/// A condition of a rule that a token does not meet, with what the rule expects.
enum Unmet<'a> {
    Sub(&'a str),
    Client(&'a str),
    /// One of these.
    Scope(&'a [String]),
    Claim(&'a str, &'a str),
}

/// What is wanted, if it is not `value`. A rule without a value matches every token, one with a value only tokens that
/// have it.
fn unwanted<'a>(wanted: Option<&'a String>, value: Option<&str>) -> Option<&'a str> {
    wanted.map(String::as_str).filter(|wanted| value != Some(wanted))
}

fn contains(claim: Option<&Json>, value: &str) -> bool {
    match claim {
        Some(Json::Array(items)) => items.iter().any(|item| item == value),
        Some(single) => single == value,
        None => false,
    }
}
