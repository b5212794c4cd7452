//! Names in a crate's modules, resolved from a path to the defining module.

use std::collections::{BTreeSet, HashMap, HashSet};

use syn::{Item, ItemUse, UseTree};

use super::source::Crate;

/// Meaning of a path. One name may have several, such as a module and a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    Module(usize),
    /// Item with this name that the module defines.
    Item(usize, String),
}

/// One import of a `use` item, whose tree is flattened.
pub struct Import {
    /// Names in the path. Without the star for a glob.
    pub path: Vec<String>,
    /// Local name. None for a glob and for `as _`.
    pub name: Option<String>,
    pub is_glob: bool,
    pub line: usize,
}

/// Names that a module defines or imports.
#[derive(Default)]
struct Scope {
    defined: HashSet<String>,
    traits: HashSet<String>,
    children: HashMap<String, usize>,
    imports: Vec<Import>,
}

/// Names of all modules.
pub struct Names<'a> {
    modules: &'a Crate,
    scopes: Vec<Scope>,
}

type Seen = HashSet<(usize, String)>;

impl<'a> Names<'a> {
    /// Collects definitions and imports. `imports_of` finds the `use` items of an item, also within
    /// functions.
    pub fn new(modules: &'a Crate, imports_of: impl Fn(&Item) -> Vec<ItemUse>) -> Self {
        let mut scopes: Vec<Scope> = modules.modules.iter().map(|_| Scope::default()).collect();
        for (index, module) in modules.modules.iter().enumerate() {
            if let (Some(parent), Some(name)) = (module.parent, module.path.last()) {
                scopes[parent].children.insert(name.clone(), index);
            }
            for item in &module.items {
                if let Some(name) = defined_name(item) {
                    scopes[index].defined.insert(name.clone());
                    if matches!(item, Item::Trait(_)) {
                        scopes[index].traits.insert(name);
                    }
                }
                let imports = imports_of(item);
                scopes[index].imports.extend(imports.iter().flat_map(imports_in));
            }
        }
        Self { modules, scopes }
    }

    /// Meanings of a path in a module, through re-exports. Empty for names of other crates.
    pub fn resolve(&self, module: usize, path: &[String]) -> BTreeSet<Entity> {
        self.resolve_once(module, path, &mut Seen::new())
    }

    /// Traits that `use PATH::*` imports into a module: their methods need no name.
    pub fn traits_of_glob(&self, module: usize, path: &[String]) -> BTreeSet<Entity> {
        let mut traits = BTreeSet::new();
        let mut waiting = self.modules_of(self.resolve(module, path));
        let mut seen = HashSet::new();
        while let Some(module) = waiting.pop() {
            if !seen.insert(module) {
                continue;
            }
            let scope = &self.scopes[module];
            traits.extend(scope.traits.iter().map(|name| Entity::Item(module, name.clone())));
            for import in &scope.imports {
                let found = self.resolve(module, &import.path);
                if import.is_glob {
                    waiting.extend(self.modules_of(found));
                } else {
                    traits.extend(found.into_iter().filter(|entity| self.is_trait(entity)));
                }
            }
        }
        traits
    }

    fn is_trait(&self, entity: &Entity) -> bool {
        matches!(entity, Entity::Item(module, name) if self.scopes[*module].traits.contains(name))
    }

    fn modules_of(&self, entities: BTreeSet<Entity>) -> Vec<usize> {
        let module = |entity| match entity {
            Entity::Module(module) => Some(module),
            Entity::Item(..) => None,
        };
        entities.into_iter().filter_map(module).collect()
    }

    fn resolve_once(&self, module: usize, path: &[String], seen: &mut Seen) -> BTreeSet<Entity> {
        let Some((first, rest)) = path.split_first() else { return BTreeSet::new() };
        let mut found = match first.as_str() {
            "crate" => [Entity::Module(0)].into(),
            "self" => [Entity::Module(module)].into(),
            "super" => {
                self.modules.modules[module].parent.map(Entity::Module).into_iter().collect()
            }
            name => self.look_up(module, name, seen),
        };
        for name in rest {
            // The path continues through a module, not through a function of the same name.
            if found.iter().any(|entity| matches!(entity, Entity::Module(_))) {
                found.retain(|entity| matches!(entity, Entity::Module(_)));
            }
            let next = found.into_iter().flat_map(|entity| match entity {
                Entity::Module(module) if name == "super" => {
                    self.modules.modules[module].parent.map(Entity::Module).into_iter().collect()
                }
                Entity::Module(module) => self.look_up(module, name, seen),
                // A variant or an associated item.
                item => [item].into(),
            });
            found = next.collect();
        }
        found
    }

    /// Meanings of a name in a module: its definitions, or else its imports.
    fn look_up(&self, module: usize, name: &str, seen: &mut Seen) -> BTreeSet<Entity> {
        let scope = &self.scopes[module];
        let mut found = BTreeSet::new();
        if scope.defined.contains(name) {
            found.insert(Entity::Item(module, name.to_owned()));
        }
        found.extend(scope.children.get(name).map(|child| Entity::Module(*child)));
        let key = (module, name.to_owned());
        if !seen.insert(key.clone()) {
            return found;
        }
        let (globs, named): (Vec<_>, Vec<_>) =
            scope.imports.iter().partition(|import| import.is_glob);
        for import in named {
            if import.name.as_deref() == Some(name) {
                found.extend(self.resolve_once(module, &import.path, seen));
            }
        }
        // A named import hides a name of a glob.
        if found.is_empty() {
            for glob in globs {
                let modules = self.modules_of(self.resolve_once(module, &glob.path, seen));
                for module in modules {
                    found.extend(self.look_up(module, name, seen));
                }
            }
        }
        seen.remove(&key);
        found
    }
}

/// Name that an item defines in its module.
pub fn defined_name(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(it) => it.ident.to_string(),
        Item::Enum(it) => it.ident.to_string(),
        Item::Fn(it) => it.sig.ident.to_string(),
        Item::Macro(it) => it.ident.as_ref()?.to_string(),
        Item::Static(it) => it.ident.to_string(),
        Item::Struct(it) => it.ident.to_string(),
        Item::Trait(it) => it.ident.to_string(),
        Item::TraitAlias(it) => it.ident.to_string(),
        Item::Type(it) => it.ident.to_string(),
        Item::Union(it) => it.ident.to_string(),
        _ => return None,
    })
}

/// Imports of a `use` item. None if a leading `::` names another crate.
pub fn imports_in(item: &ItemUse) -> Vec<Import> {
    let mut imports = Vec::new();
    if item.leading_colon.is_none() {
        flatten(&item.tree, &mut Vec::new(), &mut imports);
    }
    imports
}

fn flatten(tree: &UseTree, prefix: &mut Vec<String>, imports: &mut Vec<Import>) {
    let import = |prefix: &[String], last: &syn::Ident, name: String| {
        let mut path = prefix.to_vec();
        if last != "self" || path.is_empty() {
            path.push(last.to_string());
        }
        // The local name of `use a::b::{self}` is `b`.
        let name = if name == "self" { path.last().cloned().unwrap_or(name) } else { name };
        let line = last.span().start().line;
        Import { path, name: (name != "_").then_some(name), is_glob: false, line }
    };
    match tree {
        UseTree::Path(tree) => {
            prefix.push(tree.ident.to_string());
            flatten(&tree.tree, prefix, imports);
            prefix.pop();
        }
        UseTree::Name(tree) => imports.push(import(prefix, &tree.ident, tree.ident.to_string())),
        UseTree::Rename(tree) => {
            imports.push(import(prefix, &tree.ident, tree.rename.to_string()));
        }
        UseTree::Glob(tree) => imports.push(Import {
            path: prefix.clone(),
            name: None,
            is_glob: true,
            line: tree.star_token.span.start().line,
        }),
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| flatten(tree, prefix, imports));
        }
    }
}
