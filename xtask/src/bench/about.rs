//! Where and with which versions a benchmark ran.

use std::{fs, process::Command};

use super::{cores, peer::Peer};
use crate::{go, process::program};

/// The machine and the date, a line each.
pub(super) fn machine() -> Vec<String> {
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let memory = memory.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    vec![
        format!("date: {}", printed(program("date").args(["-u", "+%F"]))),
        format!("commit: {}", printed(program("git").args(["describe", "--always", "--dirty"]))),
        format!("processor: {processor}, {} cores", cores::count()),
        format!("memory: {:.0} GiB", memory.unwrap_or_default() / f64::from(1 << 20)),
        // Without what a distribution adds.
        format!("kernel: Linux {}", kernel.trim().split('-').next().unwrap_or_default()),
    ]
}

/// The versions of tools and peers, a line each.
pub(super) fn versions(peers: &[&Peer], has_go: bool) -> Vec<String> {
    let mut lines = vec![
        printed(program("rustc").arg("--version")),
        printed(program("h2load").arg("--version")),
        words(&printed(program("wrk").arg("--version")), 2),
        printed(program("valgrind").arg("--version")),
    ];
    for peer in peers.iter().filter(|peer| !peer.packages.is_empty()) {
        let versions = peer.versions().unwrap_or_default().join(", ");
        lines.push(format!("{}: {versions}", peer.title));
    }
    if has_go {
        let module = ["list", "-m", "-f", "{{.Path}} {{.Version}}", FLYTE];
        let go = printed(program("go").arg("version"));
        lines.push(format!("{go}, {}", printed(&mut go::propeller(&module))));
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The Go module of propeller's plugins.
const FLYTE: &str = "github.com/flyteorg/flyte/flyteplugins";

/// The first line of what `command` prints.
fn printed(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
}

fn words(text: &str, count: usize) -> String {
    text.split_whitespace().take(count).collect::<Vec<_>>().join(" ")
}

/// The value of a field in a file of `/proc`.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
