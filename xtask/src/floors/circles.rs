//! Circles of imports.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::Import;

/// A line for each circle, beginning with the file and line of an import that closes it.
pub(super) fn find(imports: &[Import]) -> Vec<String> {
    let mut graph = BTreeMap::<&str, BTreeMap<&str, &Import>>::new();
    for import in imports.iter().filter(|import| !is_of_parent(import)) {
        graph.entry(&import.from).or_default().entry(&import.to).or_insert(import);
    }
    let mut done = BTreeSet::new();
    let mut circles = Vec::new();
    for start in graph.keys() {
        if !done.contains(start) {
            visit(start, &graph, &mut Vec::new(), &mut done, &mut circles);
        }
    }
    circles
}

/// Whether the import is of something its own parent module defines.
fn is_of_parent(import: &Import) -> bool {
    import.to.is_empty() || import.from.starts_with(&format!("{}::", import.to))
}

/// Visits everything that `module` imports; an import of a module still being visited closes a circle.
fn visit<'a>(
    module: &'a str,
    graph: &BTreeMap<&'a str, BTreeMap<&'a str, &'a Import>>,
    way: &mut Vec<&'a Import>,
    done: &mut BTreeSet<&'a str>,
    circles: &mut Vec<String>,
) {
    for (to, import) in graph.get(module).into_iter().flatten() {
        way.push(import);
        if let Some(first) = way.iter().position(|step| step.from == *to) {
            circles.push(described(&way[first..]));
        } else if !done.contains(to) {
            visit(to, graph, way, done, circles);
        }
        way.pop();
    }
    done.insert(module);
}

fn described(circle: &[&Import]) -> String {
    let files = circle.iter().map(|import| import.file.as_str()).collect::<Vec<_>>();
    let Import { file, line, .. } = circle[0];
    format!("{file}:{line}: closes a circle of imports: {} -> {file}", files.join(" -> "))
}
