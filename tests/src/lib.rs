//! Fakes of the vendors' APIs, and what the tests and the demo share.

pub mod discovery;
pub mod fakes;
pub mod golden;

/// Compiles the code blocks of the guide that authors copy from.
#[cfg(doctest)]
#[doc = include_str!("../../docs/writing-a-plugin.md")]
pub struct WritingAPlugin;
