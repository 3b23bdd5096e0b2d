//! Tests of commands whose output is closed early.
#![allow(clippy::disallowed_methods, reason = "there is no async runtime to block")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::process::{Command, Stdio};

#[test]
fn closed_stdout_is_not_reported_as_a_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut list = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output =
        list.arg("list").stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
