//! What the files of a crate import from each other, read from their text as rustfmt lays it out.

use std::collections::{BTreeMap, BTreeSet};

/// How many re-exports are followed to where a name is defined.
const MAX_REEXPORTS: usize = 8;

/// The files of a crate. A module is named by its path without `crate`, the root by an empty string.
#[derive(Debug, Default)]
pub(super) struct Crate<'a> {
    files: BTreeMap<String, (String, &'a str)>,
}

/// One file's import of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    /// The importing file, below `src`.
    pub(super) file: String,
    pub(super) line: usize,
    /// The importing module, and the imported one.
    pub(super) from: String,
    pub(super) to: String,
}

/// A path that code names, from the root of its crate.
struct Named {
    line: usize,
    path: Vec<String>,
    /// The name it has here, if it is a `use`.
    alias: Option<String>,
}

impl<'a> Crate<'a> {
    /// Adds the file at `path` below `src`, unless it is a test.
    pub(super) fn add(&mut self, path: &str, text: &'a str) {
        let module = path.trim_end_matches(".rs").replace('/', "::");
        let is_test = module.ends_with("tests") || module.contains("tests::");
        if !is_test && !module.starts_with("bin::") {
            let file = (path.to_owned(), product(text));
            match module.as_str() {
                "lib" => self.files.insert(String::new(), file),
                // Beside a library it is another crate.
                "main" => Some(self.files.entry(String::new()).or_insert(file).clone()),
                _ => self.files.insert(module, file),
            };
        }
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The modules at the root.
    pub(super) fn rooms(&self) -> BTreeSet<&str> {
        let rooms = self.files.keys().filter_map(|module| module.split("::").next());
        rooms.filter(|room| !room.is_empty()).collect()
    }

    /// Every import of one file from another.
    pub(super) fn imports(&self) -> Vec<Import> {
        let named =
            self.files.iter().map(|(module, (_, text))| (module.as_str(), named(module, text)));
        let named = named.collect::<BTreeMap<_, _>>();
        let reexports = reexports(&named);
        let mut imports = Vec::new();
        for (from, paths) in &named {
            let file = &self.files[*from].0;
            for Named { line, path, .. } in paths {
                let to = self.locate(path, &reexports);
                if to != *from {
                    let (file, from) = (file.clone(), (*from).to_owned());
                    imports.push(Import { file, line: *line, from, to });
                }
            }
        }
        imports
    }

    /// The module that defines what `path` names.
    fn locate(
        &self,
        path: &[String],
        reexports: &BTreeMap<(String, String), Vec<String>>,
    ) -> String {
        let mut path = path.to_vec();
        for _ in 0..MAX_REEXPORTS {
            let module = (0..=path.len()).rev().map(|end| (end, path[..end].join("::")));
            let known = |(_, module): &(usize, String)| self.files.contains_key(module);
            let Some((end, module)) = module.into_iter().find(known) else { break };
            let name = path.get(end).cloned().unwrap_or_default();
            match reexports.get(&(module.clone(), name)) {
                Some(target) => path = [target, &path[end + 1..]].concat(),
                None => return module,
            }
        }
        String::new()
    }
}

/// `text` without its tests: everything before a `mod tests` with an attribute such as `#[cfg(test)]`.
fn product(text: &str) -> &str {
    let tests = text.match_indices("\nmod tests {").find(|(at, _)| {
        let attribute = text[..*at].lines().next_back().unwrap_or_default();
        attribute.starts_with("#[cfg(") && attribute.contains("test")
    });
    tests.map_or(text, |(at, _)| &text[..at])
}

/// What each module calls a thing that another defines.
fn reexports(named: &BTreeMap<&str, Vec<Named>>) -> BTreeMap<(String, String), Vec<String>> {
    let all = named.iter().flat_map(|(module, paths)| paths.iter().map(move |path| (module, path)));
    let entry = |(module, named): (&&str, &Named)| {
        let alias = named.alias.clone()?;
        let own = [module.split("::").collect::<Vec<_>>(), vec![&alias]].concat().join("::");
        // What is called like its own module leads nowhere else.
        (own != named.path.join("::")).then(|| (((*module).to_owned(), alias), named.path.clone()))
    };
    all.filter_map(entry).collect()
}

/// The paths of this crate that the text of `module` names.
fn named(module: &str, text: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        let Some(mut tree) = used(code) else {
            let paths = inline(code).filter_map(|path| absolute(module, &path));
            found.extend(paths.map(|path| Named { line: at + 1, path, alias: None }));
            continue;
        };
        while !tree.ends_with(';') {
            let Some((_, more)) = lines.next() else { break };
            tree.push_str(more.trim());
        }
        for (path, alias) in flattened(tree.trim_end_matches(';')) {
            let path = absolute(module, &path);
            found.extend(path.map(|path| Named { line: at + 1, path, alias: Some(alias) }));
        }
    }
    found
}

/// What stands after `use`, if that is what a line begins with.
fn used(code: &str) -> Option<String> {
    let code = match code.strip_prefix("pub") {
        Some(rest) => rest.split_once("use ").filter(|(scope, _)| scope.trim_start().len() < 12)?.1,
        None => code.strip_prefix("use ")?,
    };
    Some(code.to_owned())
}

/// `a::{b, c as d}` as its paths, each with the name it has after the `use`.
fn flattened(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    if let Some((head, rest)) = tree.split_once('{') {
        let inner = rest.strip_suffix('}').unwrap_or(rest);
        let head = segments(head.trim_end_matches("::"));
        let nested = items(inner).into_iter().flat_map(flattened);
        return nested.map(|(path, alias)| ([head.clone(), path].concat(), alias)).collect();
    }
    let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
    let mut path = segments(path);
    if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
        path.pop();
    }
    let alias =
        if alias.is_empty() { path.last().cloned().unwrap_or_default() } else { alias.into() };
    vec![(path, alias)]
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// The items of a list whose commas may stand in braces, too.
fn items(list: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let split = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    list.split(split).filter(|item| !item.trim().is_empty()).collect()
}

/// The paths in a line of code that begin at the crate's root or at a parent.
fn inline(code: &str) -> impl Iterator<Item = Vec<String>> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.split(move |c| !is_path(c) && c != '$').filter_map(|word| {
        let path = segments(word);
        let begins =
            ["crate", "super"].iter().any(|begin| path.first().is_some_and(|s| s == begin));
        (begins && path.len() > 1).then_some(path)
    })
}

/// `path`, as `module` writes it, from the root; `None` if it is another crate's.
fn absolute(module: &str, path: &[String]) -> Option<Vec<String>> {
    let mut base = segments(module);
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => (base, rest) = (Vec::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {}
        _ => return None,
    }
    while rest.first().is_some_and(|first| first == "super") {
        base.pop();
        rest = &rest[1..];
    }
    Some([&base, rest].concat())
}
