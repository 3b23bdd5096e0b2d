//! Runs the code blocks of a page in order, as a reader would.

use std::{fmt::Write as _, net::TcpListener, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::root;

/// Ports on the pages, with the environment variables that set them: of a service, which takes an address,
/// and of `outrigger`.
const PORTS: [(&str, Option<(&str, &str)>); 3] = [
    ("8000", Some(("PLUGIN_LISTEN", "OUTRIGGER_PORT"))),
    ("9090", Some(("PLUGIN_ADMIN_LISTEN", "OUTRIGGER_ADMIN_PORT"))),
    ("9000", None),
];

/// A fenced block of Markdown.
#[derive(Debug, PartialEq, Eq)]
struct Block<'a> {
    /// The line number of its opening fence, starting at 1.
    line: usize,
    /// The info string after the fence.
    info: &'a str,
    text: String,
}

fn blocks(markdown: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::<Block<'_>>::new();
    let mut open = false;
    for (number, line) in markdown.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(_), true) => open = false,
            (Some(info), false) => {
                open = true;
                blocks.push(Block { line: number + 1, info, text: String::new() });
            }
            (None, true) => {
                if let Some(block) = blocks.last_mut() {
                    block.text += line;
                    block.text.push('\n');
                }
            }
            (None, false) => {}
        }
    }
    blocks
}

/// A shell script that runs the blocks' commands and writes their files.
fn script(blocks: &[Block<'_>]) -> Result<String> {
    let mut script = String::from(
        "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\nset -m\n",
    );
    for Block { line, info, text } in blocks {
        writeln!(script, "echo '── line {line}'")?;
        match info.split_once(" file=") {
            Some((_, file)) => {
                writeln!(script, "cat > {file} <<'END_OF_BLOCK'\n{text}END_OF_BLOCK")?
            }
            None if *info == "sh" => script += text,
            // Drawings and output, and what only some readers run.
            None if ["", "console"].contains(info) => {}
            None => bail!("line {line}: cannot run a block of type '{info}'"),
        }
    }
    Ok(script)
}

/// Runs the blocks of `page`, a path in the repository, with `bash` in `workspace`, where the programs that
/// it names must work.
///
/// # Errors
/// If a command fails; the error contains the output.
pub(crate) fn run(page: &str, workspace: &Path, mut bash: Command) -> Result<()> {
    let markdown = std::fs::read_to_string(root().join(page)).with_context(|| page.to_owned())?;
    let mut script = script(&blocks(&markdown))?;
    for (port, variables) in PORTS {
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        script = script.replace(&format!(":{port}"), &format!(":{free}"));
        if let Some((address, number)) = variables {
            bash.env(address, format!("127.0.0.1:{free}")).env(number, free);
        }
    }
    let file = workspace.join("target/guide.sh");
    crate::process::write(&file, &script)?;
    let output = bash.current_dir(workspace).arg(&file).output().context("cannot run bash")?;
    if !output.status.success() {
        bail!(
            "{page} failed:\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_runs_commands_and_writes_files() {
        let found = blocks("# A\n```sh\necho 1\n```\ntext\n```rust file=a/b.rs\nfn x() {}\n```\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].line, found[1].info), (6, "rust file=a/b.rs"));
        let script = script(&found).unwrap();
        assert!(script.contains("line 2'\necho 1\n"), "{script}");
        assert!(
            script.contains("cat > a/b.rs <<'END_OF_BLOCK'\nfn x() {}\nEND_OF_BLOCK\n"),
            "{script}"
        );
    }

    #[test]
    fn block_of_unknown_type_is_rejected() {
        let error = script(&blocks("```python\n1\n```\n")).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
