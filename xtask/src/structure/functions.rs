//! Functions of a file: their lengths, and whether they are tests.

use syn::visit::{self, Visit};
use syn::{Attribute, Block, ImplItemFn, Item, ItemFn, Meta, Signature, TraitItemFn};

use super::source::{attributes, is_test};

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    /// Number of lines from `fn` to the closing brace.
    pub length: usize,
    pub is_test: bool,
}

/// Counts for one file.
pub struct Functions {
    pub found: Vec<Function>,
    /// Number of `allow` attributes for too many arguments.
    pub many_arguments: usize,
    in_tests: bool,
}

impl Functions {
    /// Counts a file. `in_tests` is true if the whole file belongs to tests.
    pub fn of(file: &syn::File, in_tests: bool) -> Self {
        let mut functions = Self { found: Vec::new(), many_arguments: 0, in_tests };
        functions.visit_file(file);
        functions
    }

    fn add(&mut self, signature: &Signature, body: &Block, attributes: &[Attribute]) {
        let line = signature.fn_token.span.start().line;
        let end = body.brace_token.span.close().end().line;
        let is_test = self.in_tests || is_test(attributes);
        let name = signature.ident.to_string();
        self.found.push(Function { name, line, length: end + 1 - line, is_test });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item(&mut self, item: &'ast Item) {
        let before = self.in_tests;
        self.in_tests |= is_test(attributes(item));
        visit::visit_item(self, item);
        self.in_tests = before;
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(&function.sig, &function.block, &function.attrs);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.add(&function.sig, &function.block, &function.attrs);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body, &function.attrs);
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            let text = list.tokens.to_string();
            self.many_arguments += usize::from(text.contains("too_many_arguments"));
        }
    }
}
