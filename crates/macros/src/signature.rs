//! Reading a function's signature: which value each parameter stands for, and
//! what the function gives back. Shared by `#[task]` and `#[actor]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{Attribute, Error, FnArg, Ident, Lifetime, Pat, ReturnType, Signature, Type};

/// The most parameters a task or an actor's method can have.
const MOST: usize = 12;

/// One parameter, without the receiver.
pub(crate) struct Param {
    /// The name the generated function gives it.
    pub(crate) name: Ident,
    /// The type of the value that is stored, sent and passed.
    pub(crate) value: Type,
    /// Whether the body borrows the value instead of owning it.
    pub(crate) borrowed: bool,
}

impl Param {
    /// The expression that hands an `Input<value>` called `name` to the body.
    pub(crate) fn pass_input(&self) -> TokenStream {
        let name = &self.name;
        if self.borrowed { quote!(&*#name) } else { quote!(::trefoil::__private::Input::into_owned(#name)) }
    }

    /// The expression that hands an owned value called `name` to the body.
    pub(crate) fn pass_value(&self) -> TokenStream {
        let name = &self.name;
        if self.borrowed { quote!(&#name) } else { quote!(#name) }
    }
}

/// What the function gives back.
pub(crate) struct Output {
    /// The type of the value: the first parameter of a `Result`.
    pub(crate) value: TokenStream,
    pub(crate) fallible: bool,
    pub(crate) span: Span,
}

impl Output {
    /// Turns the body's result into a `trefoil::Result<value>`.
    pub(crate) fn outcome(&self, body: TokenStream) -> TokenStream {
        if self.fallible {
            quote_spanned!(self.span=> ::core::result::Result::map_err(#body, ::trefoil::__private::Error::user))
        } else {
            quote!(::core::result::Result::Ok(#body))
        }
    }
}

/// How a streaming task gives its items.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Items {
    Iterator,
    Stream,
}

/// A signature that a task or a method can have.
pub(crate) struct Shape {
    pub(crate) params: Vec<Param>,
    pub(crate) output: Output,
    pub(crate) is_async: bool,
    /// For a streaming task, whose output is then that of an item.
    pub(crate) items: Option<Items>,
}

impl Shape {
    /// Checks `signature`; `what` is "a task" or "a method of an actor".
    pub(crate) fn read(signature: &Signature, what: &str, fallible: bool) -> syn::Result<Self> {
        Self::read_with(signature, what, |ty| Ok((output(ty, what, fallible)?, None)))
    }

    /// Checks the signature of a streaming task, which gives `impl Iterator` or `impl Stream`.
    pub(crate) fn read_stream(signature: &Signature, what: &str, fallible: bool) -> syn::Result<Self> {
        if let Some(token) = &signature.asyncness {
            return Err(Error::new_spanned(
                token,
                "a streaming function is not `async`: return `impl Stream<Item = T>`, which is asynchronous itself",
            ));
        }
        Self::read_with(signature, what, |ty| {
            let (item, items) = stream_item(ty)?;
            Ok((output_type(&item, what, fallible)?, Some(items)))
        })
    }

    fn read_with(
        signature: &Signature,
        what: &str,
        read_output: impl FnOnce(&ReturnType) -> syn::Result<(Output, Option<Items>)>,
    ) -> syn::Result<Self> {
        let mut errors = Errors::default();
        refuse_forms(signature, what, &mut errors);
        let mut params = Vec::new();
        for (index, input) in signature.inputs.iter().enumerate() {
            if let FnArg::Typed(typed) = input {
                if let Some(attribute) = typed.attrs.iter().find(|a| is_conditional(a)) {
                    errors.push(attribute, format!("a parameter of {what} cannot be conditional"));
                }
                match value_type(&typed.ty, what) {
                    Ok((value, borrowed)) => {
                        params.push(Param { name: param_name(&typed.pat, index), value, borrowed });
                    }
                    Err(error) => errors.add(error),
                }
            }
        }
        if params.len() > MOST {
            errors.push(
                &signature.inputs,
                format!("{what} has at most {MOST} parameters; put some of them in a struct or a tuple"),
            );
        }
        let output = match read_output(&signature.output) {
            Ok(output) => Some(output),
            Err(error) => {
                errors.add(error);
                None
            }
        };
        errors.finish()?;
        match output {
            Some((output, items)) => {
                Ok(Self { params, output, is_async: signature.asyncness.is_some(), items })
            }
            None => Err(Error::new(signature.span(), "unreadable result type")),
        }
    }

    pub(crate) fn names(&self) -> Vec<&Ident> {
        self.params.iter().map(|param| &param.name).collect()
    }

    pub(crate) fn values(&self) -> Vec<&Type> {
        self.params.iter().map(|param| &param.value).collect()
    }

    /// Compile-time checks that every value can be sent and stored, each
    /// reported at the type it is about.
    pub(crate) fn checks(&self) -> TokenStream {
        let values = self.params.iter().map(|param| {
            let value = &param.value;
            quote_spanned!(value.span()=> ::trefoil::__private::check_value::<#value>();)
        });
        let (value, span) = (&self.output.value, self.output.span);
        let result = quote_spanned!(span=> ::trefoil::__private::check_value::<#value>(););
        quote! { const _: fn() = || { #(#values)* #result }; }
    }
}

/// Several errors in one, in the order in which they were found.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn push(&mut self, place: impl ToTokens, message: impl std::fmt::Display) {
        self.add(Error::new_spanned(place, message));
    }

    pub(crate) fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn finish(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

fn is_conditional(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
}

/// Forms of function that have no meaning under a name in a table.
fn refuse_forms(signature: &Signature, what: &str, errors: &mut Errors) {
    let generics = &signature.generics;
    for parameter in &generics.params {
        match parameter {
            syn::GenericParam::Lifetime(lifetime) => errors.push(
                lifetime,
                format!(
                    "{what} cannot name lifetimes: write `&T`, which borrows the value where it is stored"
                ),
            ),
            other => errors.push(
                other,
                format!("{what} cannot be generic: its name must mean one function; write one for each type"),
            ),
        }
    }
    if let (Some(clause), true) = (&generics.where_clause, generics.params.is_empty()) {
        errors.push(clause, format!("{what} cannot have a where clause"));
    }
    if let Some(token) = &signature.unsafety {
        errors.push(token, format!("{what} cannot be unsafe: the engine cannot keep its conditions"));
    }
    if let Some(abi) = &signature.abi {
        errors.push(abi, format!("{what} cannot be `extern`"));
    }
    if let Some(dots) = &signature.variadic {
        errors.push(dots, format!("{what} cannot take a variable number of arguments"));
    }
}

fn param_name(pattern: &Pat, index: usize) -> Ident {
    match pattern {
        Pat::Ident(ident) => ident.ident.clone(),
        _ => format_ident!("__arg{index}"),
    }
}

/// The type of the stored value behind a parameter type, and whether the body borrows it.
fn value_type(ty: &Type, what: &str) -> syn::Result<(Type, bool)> {
    let Type::Reference(reference) = unwrap_group(ty) else {
        let value = ty.clone();
        check_inner(&value, what, "an argument")?;
        return Ok((value, false));
    };
    if reference.mutability.is_some() {
        return Err(Error::new_spanned(
            ty,
            format!(
                "{what} cannot change its argument in place, because values are shared: take it by value and return it"
            ),
        ));
    }
    if let Some(lifetime) = &reference.lifetime {
        return Err(Error::new_spanned(
            lifetime,
            format!("{what} cannot name lifetimes: write `&T`, which borrows the value where it is stored"),
        ));
    }
    let inner = unwrap_group(&reference.elem);
    check_inner(inner, what, "an argument")?;
    let span = inner.span();
    let value = match inner {
        Type::Slice(slice) => {
            let element = &slice.elem;
            syn::parse2(quote_spanned!(span=> ::std::vec::Vec<#element>))?
        }
        Type::Path(path) if path.path.is_ident("str") => {
            syn::parse2(quote_spanned!(span=> ::std::string::String))?
        }
        other => other.clone(),
    };
    Ok((value, true))
}

fn unwrap_group(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => unwrap_group(&group.elem),
        Type::Paren(paren) => unwrap_group(&paren.elem),
        other => other,
    }
}

fn output(output: &ReturnType, what: &str, fallible: bool) -> syn::Result<Output> {
    let ty = match output {
        ReturnType::Default if fallible => {
            return Err(Error::new(Span::call_site(), "`fallible` is for functions that return a result"));
        }
        ReturnType::Default => {
            return Ok(Output { value: quote!(()), fallible: false, span: Span::call_site() });
        }
        ReturnType::Type(_, ty) => ty,
    };
    output_type(ty, what, fallible)
}

/// The `T` of `impl Iterator<Item = T>` or `impl Stream<Item = T>`.
fn stream_item(output: &ReturnType) -> syn::Result<(Type, Items)> {
    const EXPECTED: &str = "a streaming task returns `impl Iterator<Item = T>` or `impl Stream<Item = T>`, where `T` may be a `Result`";
    let ty = match output {
        ReturnType::Default => return Err(Error::new(Span::call_site(), EXPECTED)),
        ReturnType::Type(_, ty) => unwrap_group(ty),
    };
    let Type::ImplTrait(bounds) = ty else { return Err(Error::new_spanned(ty, EXPECTED)) };
    let found = bounds.bounds.iter().find_map(|bound| {
        let syn::TypeParamBound::Trait(bound) = bound else { return None };
        let segment = bound.path.segments.last()?;
        let items = match segment.ident.to_string().as_str() {
            "Iterator" | "DoubleEndedIterator" | "ExactSizeIterator" => Items::Iterator,
            "Stream" => Items::Stream,
            _ => return None,
        };
        let syn::PathArguments::AngleBracketed(list) = &segment.arguments else { return None };
        list.args.iter().find_map(|argument| match argument {
            syn::GenericArgument::AssocType(assigned) if assigned.ident == "Item" => {
                Some((assigned.ty.clone(), items))
            }
            _ => None,
        })
    });
    found.ok_or_else(|| Error::new_spanned(ty, EXPECTED))
}

fn output_type(ty: &Type, what: &str, fallible: bool) -> syn::Result<Output> {
    let ty = unwrap_group(ty);
    if let Type::Reference(_) = ty {
        return Err(Error::new_spanned(
            ty,
            format!(
                "{what} cannot return a borrowed value, because the result outlives the call: return `String`, `Vec<T>` or `Arc<T>`"
            ),
        ));
    }
    check_inner(ty, what, "the result")?;
    let span = ty.span();
    let last = match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    };
    let named = last.is_some_and(|segment| segment.ident == "Result");
    if !named && !fallible {
        return Ok(Output { value: ty.to_token_stream(), fallible: false, span });
    }
    let first = last.filter(|_| named).and_then(|segment| match &segment.arguments {
        syn::PathArguments::AngleBracketed(list) => list.args.iter().find_map(|argument| match argument {
            syn::GenericArgument::Type(ty) => Some(ty.to_token_stream()),
            _ => None,
        }),
        _ => None,
    });
    let value =
        first.unwrap_or_else(|| quote_spanned!(span=> <#ty as ::trefoil::__private::Fallible>::Value));
    Ok(Output { value, fallible: true, span })
}

/// Refuses what cannot be stored inside a value: references, lifetimes, `impl Trait`.
fn check_inner(ty: &Type, what: &str, place: &str) -> syn::Result<()> {
    let mut finder = Finder { what, place, errors: Errors::default() };
    finder.visit_type_mut(&mut ty.clone());
    finder.errors.finish()
}

struct Finder<'a> {
    what: &'a str,
    place: &'a str,
    errors: Errors,
}

impl VisitMut for Finder<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match ty {
            Type::Reference(_) => self.errors.push(
                &ty,
                format!(
                    "{} of {} cannot hold a reference: only a whole argument can be borrowed, as `&T`",
                    self.place, self.what
                ),
            ),
            Type::ImplTrait(_) => self.errors.push(
                &ty,
                format!(
                    "{} of {} needs a type that can be named: `impl Trait` stands for many",
                    self.place, self.what
                ),
            ),
            Type::TraitObject(_) => self.errors.push(
                &ty,
                format!(
                    "{} of {} cannot be a trait object: it could not be sent to another process",
                    self.place, self.what
                ),
            ),
            Type::BareFn(_) | Type::Ptr(_) => self.errors.push(
                &ty,
                format!(
                    "{} of {} cannot be a pointer: it would mean nothing in another process",
                    self.place, self.what
                ),
            ),
            other => syn::visit_mut::visit_type_mut(self, other),
        }
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident != "static" {
            self.errors.push(
                &lifetime,
                format!(
                    "{} of {} must own its data: no lifetime but `'static` can stand here",
                    self.place, self.what
                ),
            );
        }
    }
}

/// The signature as text, for handshakes and listings: `fn sum(xs: &[i64]) -> i64`.
pub(crate) fn text(signature: &Signature) -> String {
    let mut text = String::new();
    for token in signature.to_token_stream().to_string().split_whitespace() {
        let tight_before = [")", ",", ":", "]", ">", "::", ";", "?"].iter().any(|c| token.starts_with(c))
            || token.starts_with('(')
            || token == "<";
        let tight_after =
            text.ends_with(['(', '[', '<', '&', '!', '\'']) || text.ends_with("::") || text.is_empty();
        if !tight_before && !tight_after {
            text.push(' ');
        }
        text.push_str(token);
    }
    text.replace(",)", ")")
}
