//! Import cycles among a crate's modules.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::path::Path;

use super::imports::{Imports, Node, find};
use super::source::Crate;

/// Maximum number of cycles to print for one group of modules.
const MOST_SHOWN: usize = 12;

/// Modules that import each other, directly or through others.
pub struct Group {
    /// Names of the modules.
    pub modules: Vec<String>,
    /// Lines `a -> b -> a (file:line, file:line)`, the shortest cycles first.
    pub circles: Vec<String>,
}

/// Groups of modules in cycles. A `mod.rs` and the files of its folder may import each other.
pub fn groups(modules: &Crate, root: &Path) -> Vec<Group> {
    let imports = find(modules);
    let graph = Graph::new(modules, &imports, root);
    graph.components().into_iter().filter_map(|component| graph.group(&component)).collect()
}

/// Text of all groups of a crate, one line a cycle.
pub fn describe(name: &str, groups: &[Group]) -> String {
    let mut text = String::new();
    for Group { modules, circles } in groups {
        let count = modules.len();
        let _ = writeln!(text, "{name}: {count} modules in cycles: {}", modules.join(", "));
        for circle in circles.iter().take(MOST_SHOWN) {
            let _ = writeln!(text, "{name}: {circle}");
        }
        if circles.len() > MOST_SHOWN {
            let more = circles.len() - MOST_SHOWN;
            let _ = writeln!(text, "{name}: {more} more cycles of these modules");
        }
    }
    text
}

struct Graph<'a> {
    modules: &'a Crate,
    imports: &'a Imports,
    /// Folder to which file names are relative.
    root: &'a Path,
    targets: BTreeMap<&'a Node, Vec<&'a Node>>,
}

impl<'a> Graph<'a> {
    fn new(modules: &'a Crate, imports: &'a Imports, root: &'a Path) -> Self {
        let mut targets: BTreeMap<&Node, Vec<&Node>> = BTreeMap::new();
        for (from, to) in imports.keys() {
            targets.entry(from).or_default().push(to);
        }
        Self { modules, imports, root, targets }
    }

    fn targets(&self, node: &Node) -> &[&'a Node] {
        self.targets.get(node).map_or(&[], Vec::as_slice)
    }

    /// Strongly connected components: nodes that reach each other.
    fn components(&self) -> Vec<BTreeSet<&'a Node>> {
        let reached: BTreeMap<&Node, BTreeSet<&Node>> =
            self.targets.keys().map(|node| (*node, self.reachable(node))).collect();
        let mut placed: BTreeSet<&Node> = BTreeSet::new();
        let mut components = Vec::new();
        for (node, from_here) in &reached {
            let is_mutual =
                |other: &&&Node| reached.get(*other).is_some_and(|it| it.contains(node));
            if from_here.contains(node) && !placed.contains(node) {
                let component: BTreeSet<_> = from_here.iter().filter(is_mutual).copied().collect();
                placed.extend(&component);
                components.push(component);
            }
        }
        components
    }

    fn reachable(&self, start: &Node) -> BTreeSet<&'a Node> {
        let mut found = BTreeSet::new();
        let mut waiting = self.targets(start).to_vec();
        while let Some(node) = waiting.pop() {
            if found.insert(node) {
                waiting.extend(self.targets(node));
            }
        }
        found
    }

    fn group(&self, component: &BTreeSet<&'a Node>) -> Option<Group> {
        let mut circles = BTreeSet::new();
        for &from in component {
            for &to in self.targets(from) {
                if component.contains(to) && !self.is_inside_a_folder(from, to) {
                    circles.insert(self.shortest_circle(from, to, component));
                }
            }
        }
        if circles.is_empty() {
            return None;
        }
        let in_circles = circles.iter().flat_map(|(_, circle)| circle);
        let modules: BTreeSet<usize> = in_circles.map(|node| node.module).collect();
        Some(Group {
            modules: modules.into_iter().map(|module| self.module_name(module)).collect(),
            circles: circles.iter().map(|(_, circle)| self.line(circle)).collect(),
        })
    }

    /// Whether an import is within one file, or between a `mod.rs` and a file of its folder.
    fn is_inside_a_folder(&self, from: &Node, to: &Node) -> bool {
        let parent = |node: &Node| self.modules.modules[node.module].parent;
        from.module == to.module
            || parent(from) == Some(to.module)
            || parent(to) == Some(from.module)
    }

    /// Length and nodes of the shortest cycle through an import, starting at its smallest node.
    fn shortest_circle(
        &self,
        from: &'a Node,
        to: &'a Node,
        component: &BTreeSet<&'a Node>,
    ) -> (usize, Vec<&'a Node>) {
        let mut before: BTreeMap<&Node, &Node> = BTreeMap::from([(to, from)]);
        let mut waiting = VecDeque::from([to]);
        while let Some(node) = waiting.pop_front() {
            for &next in self.targets(node) {
                if component.contains(next) && !before.contains_key(next) {
                    before.insert(next, node);
                    waiting.push_back(next);
                }
            }
        }
        let mut circle = vec![from];
        while before[circle[circle.len() - 1]] != from {
            circle.push(before[circle[circle.len() - 1]]);
        }
        circle.reverse();
        let least = circle.iter().enumerate().min_by_key(|(_, node)| **node);
        let least = least.map_or(0, |(index, _)| index);
        circle.rotate_left(least);
        (circle.len(), circle)
    }

    fn line(&self, circle: &[&Node]) -> String {
        let names: Vec<_> = circle.iter().map(|node| self.name(node)).collect();
        let next = circle.iter().cycle().skip(1);
        let places = circle.iter().zip(next).map(|(&from, &to)| {
            let file = &self.modules.modules[from.module].file;
            let file = file.strip_prefix(self.root).unwrap_or(file).display();
            format!("{file}:{}", self.imports[&(from.clone(), to.clone())])
        });
        let places: Vec<_> = places.collect();
        format!("{} -> {} ({})", names.join(" -> "), names[0], places.join(", "))
    }

    fn name(&self, node: &Node) -> String {
        let module = self.module_name(node.module);
        node.item.as_ref().map_or(module.clone(), |item| format!("{module}::{item}"))
    }

    fn module_name(&self, module: usize) -> String {
        match &self.modules.modules[module].path[..] {
            [] => "crate".to_owned(),
            path => path.join("::"),
        }
    }
}
