//! The options in the parentheses of `#[task(..)]`: what the engine is asked for by default.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Token};

use crate::options::{Keys, unknown};

const KEYS: Keys = Keys {
    attribute: "#[task]",
    known: &[
        "name",
        "cpus",
        "memory",
        "resources",
        "priority",
        "deadline",
        "retries",
        "retry_if",
        "backoff",
        "detached",
        "stream",
        "look_ahead",
        "fallible",
    ],
};

/// What the user asked for, checked.
#[derive(Default)]
pub(crate) struct TaskOptions {
    pub(crate) name: Option<String>,
    pub(crate) fallible: bool,
    pub(crate) stream: bool,
    pub(crate) look_ahead: Option<usize>,
    /// Calls on a `TaskSpec`, each with its dot: `.retries(3u32)`.
    pub(crate) spec: TokenStream,
}

/// `key`, `key = value` or `key(name = value, ..)`.
struct Entry {
    key: Ident,
    value: Value,
}

enum Value {
    None,
    Expr(Expr),
    List(Punctuated<Amount, Token![,]>),
}

/// `gpu = 1` or `"tpu-v4" = 0.5`.
struct Amount {
    name: String,
    amount: Expr,
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key: Ident = input.parse()?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Expr(input.parse()?)
        } else if input.peek(syn::token::Paren) {
            let list;
            syn::parenthesized!(list in input);
            Value::List(Punctuated::parse_terminated(&list)?)
        } else {
            Value::None
        };
        Ok(Self { key, value })
    }
}

impl Parse for Amount {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = if input.peek(LitStr) {
            input.parse::<LitStr>()?.value()
        } else {
            input.parse::<Ident>()?.to_string()
        };
        input.parse::<Token![=]>()?;
        Ok(Self { name, amount: input.parse()? })
    }
}

impl TaskOptions {
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        use syn::parse::Parser;
        let entries = Punctuated::<Entry, Token![,]>::parse_terminated.parse2(tokens).map_err(|error| {
            Error::new(error.span(), format!("{} takes options such as `name = \"clean\"`", KEYS.attribute))
        })?;
        let mut options = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for entry in &entries {
            let key = entry.key.to_string();
            if !KEYS.known.contains(&key.as_str()) {
                return Err(Error::new(entry.key.span(), unknown(&key, &KEYS)));
            }
            if seen.contains(&key) {
                return Err(Error::new(entry.key.span(), format!("`{key}` is given twice")));
            }
            options.take(&key, entry)?;
            seen.push(key);
        }
        let place = |key: &str| {
            entries.iter().find(|e| e.key == key).map_or_else(proc_macro2::Span::call_site, |e| e.key.span())
        };
        let has = |key: &str| seen.iter().any(|known| known == key);
        if has("look_ahead") && !options.stream {
            return Err(Error::new(place("look_ahead"), "`look_ahead` needs `stream`"));
        }
        for key in ["retries", "retry_if", "backoff"] {
            if options.stream && has(key) {
                let message = format!(
                    "`{key}` and `stream` exclude each other: items that are out cannot be taken back"
                );
                return Err(Error::new(place(key), message));
            }
        }
        for key in ["retry_if", "backoff"] {
            if has(key) && !has("retries") {
                return Err(Error::new(
                    place(key),
                    format!("`{key}` needs `retries`, which is 0 by default"),
                ));
            }
        }
        Ok(options)
    }

    fn take(&mut self, key: &str, entry: &Entry) -> syn::Result<()> {
        let added = match key {
            "name" => {
                self.name = Some(name(entry)?);
                return Ok(());
            }
            "look_ahead" => {
                let items = whole(entry, "expected a whole number from 1 up, as in `look_ahead = 16`")?;
                if items == 0 {
                    return Err(Error::new(entry.span(), "a stream looks ahead by 1 item at least"));
                }
                self.look_ahead = Some(items as usize);
                return Ok(());
            }
            "fallible" => {
                self.fallible = flag(entry)?;
                return Ok(());
            }
            "stream" => {
                self.stream = flag(entry)?;
                return Ok(());
            }
            "detached" => {
                flag(entry)?;
                quote!(.detached())
            }
            "retries" => {
                const EXPECTED: &str = "expected a whole number from 0 up, as in `retries = 3`";
                let count = u32::try_from(whole(entry, EXPECTED)?);
                let count = count.map_err(|_| Error::new(entry.span(), EXPECTED))?;
                quote!(.retries(#count))
            }
            "priority" => {
                const EXPECTED: &str = "expected a whole number, as in `priority = 5` or `priority = -1`";
                let value = expression(entry, EXPECTED)?;
                let text = value.to_token_stream().to_string().replace(' ', "");
                let priority: i32 = text.parse().map_err(|_| Error::new(value.span(), EXPECTED))?;
                quote!(.priority(#priority))
            }
            "cpus" => {
                const EXPECTED: &str = "expected a number of processors above 0, as in `cpus = 0.5`";
                let cpus = amount(expression(entry, EXPECTED)?).filter(|cpus| *cpus > 0.0);
                let cpus = cpus.ok_or_else(|| Error::new(entry.span(), EXPECTED))?;
                quote!(.cpus(#cpus))
            }
            "memory" => {
                let bytes = memory(entry)?;
                quote!(.memory(#bytes))
            }
            "resources" => {
                const EXPECTED: &str = "expected names with amounts, as in `resources(gpu = 1)`";
                let Value::List(list) = &entry.value else { return Err(Error::new(entry.span(), EXPECTED)) };
                let mut added = TokenStream::new();
                for Amount { name, amount: value } in list {
                    let amount = amount(value).ok_or_else(|| Error::new(value.span(), EXPECTED))?;
                    added.extend(quote!(.resource(#name, #amount)));
                }
                added
            }
            "deadline" => {
                let value = duration(entry, "`deadline = \"30s\"`")?;
                quote!(.deadline(#value))
            }
            "backoff" => {
                const EXAMPLE: &str = "`backoff = \"100ms\"`";
                let value = match string(&entry.value) {
                    Some(_) => {
                        let first = duration(entry, EXAMPLE)?;
                        quote!(::trefoil::__private::Backoff::new(#first))
                    }
                    None => expression(
                        entry,
                        "expected the first pause or a `Backoff`, as in `backoff = \"100ms\"`",
                    )?
                    .to_token_stream(),
                };
                quote!(.backoff(#value))
            }
            _ => {
                let predicate =
                    expression(entry, "expected a function of `&Error`, as in `retry_if = is_transient`")?;
                quote_spanned!(predicate.span()=> .retry_if(#predicate))
            }
        };
        self.spec.extend(added);
        Ok(())
    }
}

impl Entry {
    fn span(&self) -> proc_macro2::Span {
        match &self.value {
            Value::Expr(value) => value.span(),
            _ => self.key.span(),
        }
    }
}

fn expression<'e>(entry: &'e Entry, expected: &str) -> syn::Result<&'e Expr> {
    match &entry.value {
        Value::Expr(value) => Ok(value),
        _ => Err(Error::new(entry.span(), expected)),
    }
}

fn flag(entry: &Entry) -> syn::Result<bool> {
    match entry.value {
        Value::None => Ok(true),
        _ => Err(Error::new(entry.span(), format!("`{}` takes no value", entry.key))),
    }
}

fn string(value: &Value) -> Option<LitStr> {
    match value {
        Value::Expr(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Some(text.clone()),
        _ => None,
    }
}

fn name(entry: &Entry) -> syn::Result<String> {
    match string(&entry.value) {
        Some(text) if text.value().trim().is_empty() => Err(Error::new(text.span(), "the name is empty")),
        Some(text) => Ok(text.value()),
        None => Err(Error::new(entry.span(), "expected a name between quotes, as in `name = \"clean\"`")),
    }
}

fn whole(entry: &Entry, expected: &str) -> syn::Result<u64> {
    match expression(entry, expected)? {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => {
            number.base10_parse().map_err(|_| Error::new(number.span(), expected))
        }
        other => Err(Error::new(other.span(), expected)),
    }
}

fn amount(value: &Expr) -> Option<f64> {
    let Expr::Lit(ExprLit { lit, .. }) = value else { return None };
    let amount = match lit {
        Lit::Int(number) => number.base10_parse::<f64>().ok()?,
        Lit::Float(number) => number.base10_parse::<f64>().ok()?,
        _ => return None,
    };
    amount.is_finite().then_some(amount)
}

/// Bytes from `64`, `"64MiB"` or `"1.5 GB"`.
fn memory(entry: &Entry) -> syn::Result<usize> {
    const EXPECTED: &str = "expected bytes, as in `memory = \"64MiB\"`";
    const UNITS: &[(&str, f64)] = &[
        ("KIB", 1024.0),
        ("MIB", 1048576.0),
        ("GIB", 1073741824.0),
        ("TIB", 1099511627776.0),
        ("KB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("B", 1.0),
    ];
    let Some(text) = string(&entry.value) else {
        return whole(entry, EXPECTED).map(|bytes| bytes as usize);
    };
    let upper = text.value().trim().to_uppercase();
    let (number, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| upper.strip_suffix(unit).map(|number| (number, *factor)))
        .unwrap_or((&upper, 1.0));
    match number.trim().parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok((number * factor) as usize),
        _ => Err(Error::new(text.span(), EXPECTED)),
    }
}

/// A `Duration` from `"100ms"`, `"30s"`, `"5m"`, `"1h"`, or any expression.
fn duration(entry: &Entry, example: &str) -> syn::Result<TokenStream> {
    const UNITS: &[(&str, f64)] = &[("ms", 1e-3), ("us", 1e-6), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let expected = format!("expected a time such as \"100ms\", \"30s\", \"5m\" or \"1h\", as in {example}");
    let Some(text) = string(&entry.value) else {
        return expression(entry, &expected).map(ToTokens::to_token_stream);
    };
    let value = text.value();
    let seconds = UNITS.iter().find_map(|(unit, factor)| {
        let number: f64 = value.trim().strip_suffix(unit)?.trim().parse().ok()?;
        (number >= 0.0 && number.is_finite()).then_some(number * factor)
    });
    let seconds = seconds.ok_or_else(|| Error::new(text.span(), &expected))?;
    let nanoseconds = (seconds * 1e9).round() as u64;
    Ok(quote!(::core::time::Duration::from_nanos(#nanoseconds)))
}
