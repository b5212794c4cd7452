//! Imports between the modules of a crate.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, Type, Visibility};

use super::names::{Entity, Import, Names, defined_name, imports_in};
use super::references::References;
use super::source::{Crate, Module};

/// A module, or one item of a module with submodules.
///
/// A `mod.rs` is analysed item by item: a file of its folder that uses a type from it does not
/// import what other items there use.
/// that another item there uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    pub module: usize,
    pub item: Option<String>,
}

/// Imports by their two ends, with the line of the first one.
pub type Imports = BTreeMap<(Node, Node), usize>;

/// One item of a module and its references.
struct Part {
    node: Node,
    references: References,
    /// Whether the item is a `use`, and whether it re-exports its names.
    is_use: bool,
    is_public: bool,
}

/// Finds the imports between all modules.
pub fn find(modules: &Crate) -> Imports {
    let names = Names::new(modules, |item| References::of(item).uses);
    let mut finder = Finder { modules, names, imports: Imports::new() };
    for (index, module) in modules.modules.iter().enumerate() {
        finder.add_module(index, module);
    }
    finder.imports
}

struct Finder<'a> {
    modules: &'a Crate,
    names: Names<'a>,
    imports: Imports,
}

impl Finder<'_> {
    fn add_module(&mut self, index: usize, module: &Module) {
        let is_folder = self.modules.is_folder(index);
        let parts: Vec<Part> = module.items.iter().map(|item| part(index, item, module)).collect();
        let mentioned: BTreeSet<&str> = parts
            .iter()
            .flat_map(|part| &part.references.paths)
            .map(|reference| reference.path[0].as_str())
            .collect();
        let whole = Node { module: index, item: None };
        let nodes: BTreeSet<Node> = match is_folder {
            true => parts.iter().filter(|it| !it.is_use).map(|it| it.node.clone()).collect(),
            false => [whole.clone()].into(),
        };
        for part in &parts {
            let from = if is_folder { part.node.clone() } else { whole.clone() };
            for reference in &part.references.paths {
                self.add(&from, &self.names.resolve(index, &reference.path), reference.line);
            }
            for import in part.references.uses.iter().flat_map(imports_in) {
                let found = self.imported(index, &import);
                if !is_folder || !part.is_use {
                    self.add(&from, &found, import.line);
                    continue;
                }
                // Items that use the name are counted above. A trait is used without being named.
                let is_named = import.name.as_deref().is_some_and(|name| mentioned.contains(name));
                if !part.is_public && !is_named {
                    nodes.iter().for_each(|node| self.add(node, &found, import.line));
                }
            }
        }
    }

    /// Items that an import refers to. Items of a glob import are found where they are named.
    fn imported(&self, module: usize, import: &Import) -> BTreeSet<Entity> {
        match import.is_glob {
            true => self.names.traits_of_glob(module, &import.path),
            false => self.names.resolve(module, &import.path),
        }
    }

    fn add(&mut self, from: &Node, entities: &BTreeSet<Entity>, line: usize) {
        for entity in entities {
            // Naming a module is not an import; using its items is.
            let Entity::Item(module, name) = entity else { continue };
            let item = self.modules.is_folder(*module).then(|| name.clone());
            let to = Node { module: *module, item };
            if to != *from {
                self.imports.entry((from.clone(), to)).or_insert(line);
            }
        }
    }
}

fn part(index: usize, item: &Item, module: &Module) -> Part {
    let (is_use, is_public) = match item {
        Item::Use(it) => (true, !matches!(it.vis, Visibility::Inherited)),
        _ => (false, false),
    };
    let node = Node { module: index, item: Some(owner(item, module)) };
    Part { node, references: References::of(item), is_use, is_public }
}

/// Item of a module to which an item belongs: itself, or the type or trait that it implements.
fn owner(item: &Item, module: &Module) -> String {
    if let Some(name) = defined_name(item) {
        return name;
    }
    let Item::Impl(block) = item else { return "use".to_owned() };
    let last = |path: &syn::Path| path.segments.last().map(|segment| segment.ident.to_string());
    let of_type = match &*block.self_ty {
        Type::Path(path) => last(&path.path),
        _ => None,
    };
    let of_trait = block.trait_.as_ref().and_then(|(_, path, _)| last(path));
    let is_defined =
        |name: &&String| module.items.iter().any(|it| defined_name(it).as_ref() == Some(*name));
    let candidates = [of_type.clone(), of_trait];
    let owner = candidates.iter().flatten().find(is_defined).cloned();
    owner.or(of_type).unwrap_or_else(|| "impl".to_owned())
}
