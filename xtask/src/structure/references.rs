//! Paths that an item mentions: in `use`, signatures, bodies and macros.

use std::collections::HashSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemMod, ItemUse, Macro, PatIdent, Path, Visibility};

use super::source::{attributes, is_test};

/// A path and the line on which it begins.
pub struct Reference {
    pub path: Vec<String>,
    pub line: usize,
}

/// References of one item.
#[derive(Default)]
pub struct References {
    /// Paths, except those in `use`.
    pub paths: Vec<Reference>,
    pub uses: Vec<ItemUse>,
    /// Names of variables, which do not refer to items of the same name.
    variables: HashSet<String>,
}

impl References {
    /// Collects the references of an item, without its attributes and tests.
    pub fn of(item: &Item) -> Self {
        let mut references = Self::default();
        references.visit_item(item);
        let References { paths, variables, .. } = &mut references;
        paths.retain(|it| it.path.len() > 1 || !variables.contains(&it.path[0]));
        references
    }

    fn scan(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        // The previous token: a name after a dot is a field or a method.
        let mut before = ' ';
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => {
                    self.scan(group.stream());
                    before = ' ';
                }
                TokenTree::Punct(punct) => before = punct.as_char(),
                TokenTree::Literal(_) => before = ' ',
                TokenTree::Ident(first) => {
                    let line = first.span().start().line;
                    let mut path = vec![first.to_string()];
                    let mut colons = 0;
                    while let Some(token) = tokens.peek() {
                        match token {
                            TokenTree::Punct(punct) if punct.as_char() == ':' && colons < 2 => {
                                colons += 1;
                            }
                            TokenTree::Ident(name) if colons == 2 => {
                                path.push(name.to_string());
                                colons = 0;
                            }
                            _ => break,
                        }
                        tokens.next();
                    }
                    if before != '.' && before != ':' {
                        self.paths.push(Reference { path, line });
                    }
                    before = if colons > 0 { ':' } else { ' ' };
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for References {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let is_test = match item {
            ImplItem::Fn(function) => is_test(&function.attrs),
            ImplItem::Const(constant) => is_test(&constant.attrs),
            _ => false,
        };
        if !is_test {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.uses.push(item.clone());
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    /// `pub(in crate::a)` names a module without using it.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        self.variables.insert(pattern.ident.to_string());
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let names = path.segments.iter().map(|segment| segment.ident.to_string());
            let line = first.ident.span().start().line;
            self.paths.push(Reference { path: names.collect(), line });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        visit::visit_macro(self, call);
        self.scan(call.tokens.clone());
    }
}
