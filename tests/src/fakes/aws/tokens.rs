//! Client tokens: the same token with the same input is the same job.

use std::collections::BTreeMap;

use serde_json::Value;

/// The jobs that were submitted with a token.
#[derive(Debug, Default)]
pub struct Tokens(BTreeMap<String, (String, Value)>);

/// What an earlier submit with a token was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// There was none.
    None,
    /// The job with this id, with the same input.
    Same(String),
    /// One with another input.
    Other,
}

impl Tokens {
    /// What was submitted with `token`, compared with `input`.
    #[must_use]
    pub fn earlier(&self, token: &str, input: &Value) -> Earlier {
        match self.0.get(token) {
            None => Earlier::None,
            Some((id, earlier)) if earlier == input => Earlier::Same(id.clone()),
            Some(_) => Earlier::Other,
        }
    }

    /// Remembers that `token` and `input` started the job `id`.
    pub fn remember(&mut self, token: &str, input: &Value, id: &str) {
        self.0.insert(token.to_owned(), (id.to_owned(), input.clone()));
    }
}
