//! Modules of a crate without tests, read and parsed from its root file.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta};

/// A module that is not a test.
pub struct Module {
    /// Names of the modules from the root to this one. Empty for the root.
    pub path: Vec<String>,
    /// File with the module.
    pub file: PathBuf,
    /// Index of the parent module.
    pub parent: Option<usize>,
    /// Items except modules and tests.
    pub items: Vec<Item>,
}

/// All modules of a crate. The root is the first.
pub struct Crate {
    pub modules: Vec<Module>,
}

/// Location of a module: its file and the folder of its submodules.
struct Location {
    file: PathBuf,
    folder: PathBuf,
}

impl Crate {
    /// Reads the crate with the root `file`. `read` returns the text of a file, if the file exists.
    pub fn load(file: &Path, read: &dyn Fn(&Path) -> Option<String>) -> anyhow::Result<Self> {
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let items = parse(file, read)?;
        let mut modules = Self { modules: Vec::new() };
        let location = Location { file: file.to_owned(), folder };
        modules.add(Vec::new(), None, location, items, read)?;
        Ok(modules)
    }

    fn add(
        &mut self,
        path: Vec<String>,
        parent: Option<usize>,
        location: Location,
        items: Vec<Item>,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> anyhow::Result<()> {
        let index = self.modules.len();
        let is_module = |item: &Item| matches!(item, Item::Mod(_));
        let (children, items) = items
            .into_iter()
            .filter(|item| !is_test(attributes(item)))
            .partition::<Vec<_>, _>(is_module);
        self.modules.push(Module {
            path: path.clone(),
            file: location.file.clone(),
            parent,
            items,
        });
        for child in children {
            let Item::Mod(child) = child else { continue };
            let name = child.ident.to_string();
            if name == "tests" {
                continue;
            }
            let mut path = path.clone();
            path.push(name);
            let (location, items) = open(child, &location, read)?;
            self.add(path, Some(index), location, items, read)?;
        }
        Ok(())
    }

    /// Whether this module has submodules.
    pub fn is_folder(&self, index: usize) -> bool {
        self.modules.iter().any(|module| module.parent == Some(index))
    }
}

/// Items of a submodule, inline or in a file of its own.
fn open(
    module: ItemMod,
    parent: &Location,
    read: &dyn Fn(&Path) -> Option<String>,
) -> anyhow::Result<(Location, Vec<Item>)> {
    let name = module.ident.to_string();
    let folder = parent.folder.join(&name);
    if let Some((_, items)) = module.content {
        return Ok((Location { file: parent.file.clone(), folder }, items));
    }
    if let Some(path) = path_attribute(&module.attrs) {
        let file = parent.file.with_file_name(path);
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let items = parse(&file, read)?;
        return Ok((Location { file, folder }, items));
    }
    let beside = parent.folder.join(format!("{name}.rs"));
    let file = if read(&beside).is_some() { beside } else { folder.join("mod.rs") };
    let items = parse(&file, read)?;
    Ok((Location { file, folder }, items))
}

fn parse(path: &Path, read: &dyn Fn(&Path) -> Option<String>) -> anyhow::Result<Vec<Item>> {
    let text = read(path);
    ensure!(text.is_some(), "cannot read the module {}", path.display());
    let file = syn::parse_file(&text.unwrap_or_default());
    Ok(file.with_context(|| format!("cannot parse {}", path.display()))?.items)
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Whether the attributes restrict an item to test builds.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
        let tokens = list.tokens.to_string();
        list.path.is_ident("cfg") && (tokens == "test" || tokens.starts_with("all (test ,"))
    })
}

/// Attributes of an item, if its kind can have any.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::ExternCrate(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::ForeignMod(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::TraitAlias(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Union(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}
