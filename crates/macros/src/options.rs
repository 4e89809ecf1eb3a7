//! The options in the parentheses of `#[actor(..)]`, and what to say about an unknown one.

use proc_macro2::TokenStream;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Lit, Meta, MetaNameValue, Token};

/// What the user asked for, checked.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<String>,
}

/// Which keys an attribute knows.
pub(crate) struct Keys {
    /// The attribute as the user writes it: `#[task]`.
    pub(crate) attribute: &'static str,
    pub(crate) known: &'static [&'static str],
}

pub(crate) const ACTOR: Keys = Keys { attribute: "#[actor]", known: &["name"] };

impl Options {
    pub(crate) fn parse(tokens: TokenStream, keys: &Keys) -> syn::Result<Self> {
        let expected = || format!("{} takes options such as `name = \"clean\"`", keys.attribute);
        let metas = Punctuated::<Meta, Token![,]>::parse_terminated
            .parse2(tokens)
            .map_err(|error| Error::new(error.span(), expected()))?;
        let mut options = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for meta in metas {
            let key = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
            if !keys.known.contains(&key.as_str()) {
                return Err(Error::new(meta.path().span(), unknown(&key, keys)));
            }
            if seen.contains(&key) {
                return Err(Error::new(meta.path().span(), format!("`{key}` is given twice")));
            }
            options.name = Some(name(&meta)?);
            seen.push(key);
        }
        Ok(options)
    }
}

pub(crate) fn unknown(key: &str, keys: &Keys) -> String {
    let known: Vec<String> = keys.known.iter().map(|known| format!("`{known}`")).collect();
    let near = keys.known.iter().find(|known| near(key, known));
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("{} has no option `{key}`{hint} (it knows {})", keys.attribute, known.join(", "))
}

/// At most two letters differ, or one word begins the other.
fn near(given: &str, known: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (given.chars().collect(), known.chars().collect());
    if a.len() >= 3 && (known.starts_with(given) || given.starts_with(known)) {
        return true;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()] <= 2 && a.len() >= 3
}

fn literal(meta: &Meta, expected: &str) -> syn::Result<Lit> {
    match meta {
        Meta::NameValue(MetaNameValue { value: Expr::Lit(ExprLit { lit, .. }), .. }) => Ok(lit.clone()),
        other => Err(Error::new(other.span(), expected)),
    }
}

fn name(meta: &Meta) -> syn::Result<String> {
    const EXPECTED: &str = "expected a name between quotes, as in `name = \"clean\"`";
    match literal(meta, EXPECTED)? {
        Lit::Str(text) if text.value().trim().is_empty() => Err(Error::new(text.span(), "the name is empty")),
        Lit::Str(text) => Ok(text.value()),
        other => Err(Error::new(other.span(), EXPECTED)),
    }
}
