//! The Linux that static programs are built for: this machine's, or another architecture's with a C compiler for it.

use std::{path::Path, process::Command, str::FromStr};

use anyhow::Result;

use crate::{
    exit::usage,
    process::{program, works},
};

const SUFFIX: &str = "-unknown-linux-gnu";
/// Architectures that Debian has compilers for.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// A Linux with glibc, by the architecture's name in triples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target(&'static str);

impl FromStr for Target {
    type Err = String;

    fn from_str(triple: &str) -> Result<Self, String> {
        let arch = triple.strip_suffix(SUFFIX);
        let known = arch.and_then(|arch| ARCHITECTURES.iter().find(|known| **known == arch));
        let all = ARCHITECTURES.map(|arch| format!("{arch}{SUFFIX}")).join(" or ");
        known.map(|arch| Self(arch)).ok_or_else(|| format!("expected {all}"))
    }
}

impl Target {
    /// This machine's.
    pub(crate) const fn native() -> Self {
        Self(std::env::consts::ARCH)
    }

    /// The architecture, as wheels name it, too.
    pub(crate) const fn arch(self) -> &'static str {
        self.0
    }

    pub(crate) fn triple(self) -> String {
        format!("{}{SUFFIX}", self.0)
    }

    /// The C compiler, which links, too; none for this machine's own.
    fn compiler(self) -> Option<String> {
        (self != Self::native()).then(|| format!("{}-linux-gnu-gcc", self.0))
    }

    /// Refuses a target whose tools are not installed.
    ///
    /// # Errors
    /// If one is missing, with the command that installs it.
    pub(crate) fn check_tools(self) -> Result<()> {
        let Some(compiler) = self.compiler() else { return Ok(()) };
        let (arch, triple) = (self.0, self.triple());
        let debian = if arch == "aarch64" { "arm64" } else { "amd64" };
        if !works(program(&compiler).arg("--version")) {
            return Err(usage(format!(
                "{triple}: {compiler} is not installed. On Debian: apt-get install gcc-{} libc6-dev-{debian}-cross",
                if arch == "aarch64" { "aarch64-linux-gnu" } else { "x86-64-linux-gnu" }
            )));
        }
        let output = program("rustc").args(["--print=target-libdir", "--target", &triple]).output();
        let library = output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
        if !library.is_ok_and(|library| !library.is_empty() && Path::new(&library).is_dir()) {
            return Err(usage(format!(
                "{triple}: Rust's library for it is not installed: rustup target add {triple}"
            )));
        }
        Ok(())
    }

    /// Tells `cargo` and the build scripts which compiler to run.
    pub(crate) fn configure(self, cargo: &mut Command) {
        let Some(compiler) = self.compiler() else { return };
        let triple = self.triple().replace('-', "_");
        cargo.env(format!("CC_{triple}"), &compiler);
        cargo.env(format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase()), compiler);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_triple_and_a_compiler_unless_it_is_this_machines() {
        let other = if std::env::consts::ARCH == "aarch64" { "x86_64" } else { "aarch64" };
        let target = format!("{other}-unknown-linux-gnu").parse::<Target>().unwrap();
        let mut cargo = Command::new("cargo");
        target.configure(&mut cargo);
        let set = cargo.get_envs().map(|(name, _)| name.to_string_lossy().into_owned());
        let set = set.collect::<Vec<_>>();
        let linker = format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_LINKER", other.to_uppercase());
        assert!(set.contains(&linker), "{set:?}");
        assert!(set.contains(&format!("CC_{other}_unknown_linux_gnu")), "{set:?}");
        assert_eq!(Target::native().compiler(), None);
        assert!(
            "aarch64-unknown-linux-musl".parse::<Target>().unwrap_err().starts_with("expected")
        );
    }
}
