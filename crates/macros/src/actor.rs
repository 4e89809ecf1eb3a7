//! `#[actor]` on an inherent impl block.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::visit_mut::VisitMut;
use syn::{
    Attribute, Error, Expr, ExprLit, Ident, ImplItem, ImplItemFn, ItemImpl, Lit, LitStr, Meta, MetaNameValue,
    Token, Type, Visibility,
};

use crate::options::{self, Options};
use crate::signature::{self, Errors, Items, Shape};

/// Items that a stream produces ahead of its reader unless told otherwise.
const LOOK_AHEAD: usize = 64;

/// Methods that every `ActorHandle` has itself: an actor's method of the same
/// name could be called by mistake, or not at all.
const RESERVED: &[&str] = &[
    "stop",
    "kill",
    "id",
    "name",
    "is_alive",
    "wait_ended",
    "restarts",
    "pending",
    "methods",
    "downgrade",
    "in_group",
    "reserve",
    "every",
    "after",
    "clone",
    "deref",
];

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let Ok(mut block) = syn::parse2::<ItemImpl>(item.clone()) else {
        let message = "#[actor] stands on an impl block: `#[actor] impl Counter { .. }`";
        let error = Error::new(Span::call_site(), message).to_compile_error();
        return quote! { #error #item };
    };
    let generated = generate(options, &mut block).unwrap_or_else(|error| error.to_compile_error());
    quote! { #block #generated }
}

fn generate(options: TokenStream, block: &mut ItemImpl) -> syn::Result<TokenStream> {
    let marks = take_marks(block)?;
    let options = Options::parse(options, &options::ACTOR)?;
    let name = check_block(block)?;
    let plain = name.unraw().to_string();
    let short = options.name.clone().unwrap_or_else(|| plain.clone());
    let actor = &*block.self_ty;
    let methods_type = format_ident!("{}Methods", name.unraw(), span = name.span());

    let mut errors = Errors::default();
    let mut twins = Vec::new();
    let mut entries = Vec::new();
    let mut groups = Vec::new();
    for (item, marks) in block.items.iter().zip(marks) {
        let ImplItem::Fn(method) = item else { continue };
        if marks.skip || !is_remote(method) {
            continue;
        }
        match twin(actor, &name, &short, method, &marks, &mut groups) {
            Ok((twin, entry)) => {
                twins.push(twin);
                entries.push(entry);
            }
            Err(error) => errors.add(error),
        }
    }
    errors.finish()?;

    let conditions: Vec<&Attribute> = block.attrs.iter().filter(|a| a.path().is_ident("cfg")).collect();
    let full = match &options.name {
        Some(given) => quote!(#given),
        None => quote!(::core::concat!(::core::module_path!(), "::", #plain)),
    };
    let doc = format!(
        "The remote methods of the actor `{plain}`: an `ActorHandle<{plain}>` dereferences to it.\n\n\
         Each takes a value, a `Ref` or a `Call` for an argument and gives a `Ref` of the result."
    );
    Ok(quote! {
        #(#conditions)*
        #[doc = #doc]
        #[allow(unreachable_pub, private_interfaces, private_bounds)]
        pub struct #methods_type(::trefoil::__private::Port<#actor>);

        #(#conditions)*
        #[allow(unreachable_pub, private_interfaces, private_bounds)]
        impl #methods_type { #(#twins)* }

        #(#conditions)*
        impl ::trefoil::__private::Actor for #actor {
            type Methods = #methods_type;
            const NAME: &'static str = #short;

            const GROUPS: &'static [&'static str] = &[#(#groups),*];

            fn methods(port: ::trefoil::__private::Port<Self>) -> Self::Methods {
                #methods_type(port)
            }

            fn port(methods: &Self::Methods) -> &::trefoil::__private::Port<Self> {
                &methods.0
            }
        }

        #(#conditions)*
        const _: () = {
            #[::trefoil::__private::linkme::distributed_slice(::trefoil::__private::ACTORS)]
            #[linkme(crate = ::trefoil::__private::linkme)]
            static ENTRY: ::trefoil::__private::ActorEntry =
                ::trefoil::__private::ActorEntry::new(#full, &[#(#entries),*]);
        };
    })
}

/// What `#[actor(..)]` on a method says.
#[derive(Default)]
struct Marks {
    skip: bool,
    fallible: bool,
    blocking: bool,
    stream: bool,
    look_ahead: Option<usize>,
    group: Option<LitStr>,
}

const MARKS: &str = "on a method, #[actor(skip)] keeps it local, #[actor(group = \"io\")] limits it with others of the group, #[actor(blocking)] says that it may block its thread, #[actor(stream)] that it returns many results, and #[actor(fallible)] that it returns a `Result` under another name";

impl Marks {
    fn read(&mut self, attribute: &Attribute) -> syn::Result<()> {
        let wrong = || Error::new_spanned(attribute, MARKS);
        let metas = attribute
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .map_err(|_| wrong())?;
        if metas.is_empty() {
            return Err(wrong());
        }
        for meta in metas {
            match &meta {
                Meta::Path(path) if path.is_ident("skip") => self.skip = true,
                Meta::Path(path) if path.is_ident("fallible") => self.fallible = true,
                Meta::Path(path) if path.is_ident("blocking") => self.blocking = true,
                Meta::Path(path) if path.is_ident("stream") => self.stream = true,
                Meta::NameValue(MetaNameValue {
                    path,
                    value: Expr::Lit(ExprLit { lit: Lit::Int(count), .. }),
                    ..
                }) if path.is_ident("look_ahead") => {
                    self.look_ahead = Some(count.base10_parse()?);
                }
                Meta::NameValue(MetaNameValue {
                    path,
                    value: Expr::Lit(ExprLit { lit: Lit::Str(name), .. }),
                    ..
                }) if path.is_ident("group") => {
                    if name.value().trim().is_empty() {
                        return Err(Error::new_spanned(name, "the name of the group is empty"));
                    }
                    self.group = Some(name.clone());
                }
                _ => return Err(wrong()),
            }
        }
        Ok(())
    }
}

/// Removes `#[actor(..)]` from the methods and gives what it said, item by item.
fn take_marks(block: &mut ItemImpl) -> syn::Result<Vec<Marks>> {
    let mut all = Vec::new();
    for item in &mut block.items {
        let mut marks = Marks::default();
        if let ImplItem::Fn(method) = item {
            for attribute in method.attrs.extract_if(.., |attribute| attribute.path().is_ident("actor")) {
                marks.read(&attribute)?;
            }
        }
        all.push(marks);
    }
    Ok(all)
}

/// The name of the type, if the block is one that can be an actor's.
fn check_block(block: &ItemImpl) -> syn::Result<Ident> {
    if let Some((_, path, _)) = &block.trait_ {
        return Err(Error::new_spanned(
            path,
            "#[actor] stands on the type's own impl block, not on the implementation of a trait",
        ));
    }
    if let Some(parameter) = block.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            "an actor cannot be generic: its name must mean one type; wrap the type you need in a struct",
        ));
    }
    let segment = match &*block.self_ty {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    };
    match segment {
        Some(segment) if segment.arguments.is_none() => Ok(segment.ident.clone()),
        _ => Err(Error::new_spanned(
            &block.self_ty,
            "an actor is a struct or enum of its own, without type arguments: wrap the type you need in a struct",
        )),
    }
}

/// Public, and called on `&self` or `&mut self`.
fn is_remote(method: &ImplItemFn) -> bool {
    let receiver = method.sig.receiver();
    !matches!(method.vis, Visibility::Inherited)
        && receiver.is_some_and(|receiver| receiver.reference.is_some() && receiver.colon_token.is_none())
}

/// The method of the generated struct, and its line in the table of actors.
fn twin(
    actor: &Type,
    name: &Ident,
    short: &str,
    method: &ImplItemFn,
    marks: &Marks,
    groups: &mut Vec<String>,
) -> syn::Result<(TokenStream, TokenStream)> {
    let ident = &method.sig.ident;
    let plain = ident.unraw().to_string();
    if RESERVED.contains(&plain.as_str()) {
        return Err(Error::new_spanned(
            ident,
            format!(
                "every actor handle has a method `{plain}` of its own: choose another name, or mark the method #[actor(skip)] to keep it local"
            ),
        ));
    }
    let mut signature = method.sig.clone();
    SelfType(name).visit_signature_mut(&mut signature);
    let read = if marks.stream { Shape::read_stream } else { Shape::read };
    let shape = read(&signature, "a method of an actor", marks.fallible)?;
    let exclusive = method.sig.receiver().is_some_and(|receiver| receiver.mutability.is_some());
    let group = group_number(marks, exclusive, groups)?;
    let blocking = marks.blocking;
    if blocking && shape.is_async {
        let message =
            "`blocking` is for methods that are not `async`: an `async fn` must not block its thread";
        return Err(Error::new_spanned(method.sig.asyncness, message));
    }
    let names = shape.names();
    let values = shape.values();
    let inputs = shape.params.iter().map(signature::Param::pass_input);
    let output = &shape.output.value;
    let wait = shape.is_async.then(|| quote!(.await));
    let state = if exclusive { quote!(__actor) } else { quote!(&*__actor) };
    let called = quote!(<#actor>::#ident(#state, #(#inputs),*) #wait);
    let is_async = shape.is_async || shape.items.is_some();
    let send = match (exclusive, is_async) {
        (true, false) => quote!(call_mut),
        (true, true) => quote!(call_mut_async),
        (false, false) => quote!(call_ref),
        (false, true) => quote!(call_ref_async),
    };
    let body = match shape.items {
        Some(items) => {
            let feed = if items == Items::Iterator { quote!(feed_iter) } else { quote!(feed_stream) };
            let each = shape.output.outcome(quote!(item));
            quote!(::std::boxed::Box::pin(async move { __sink.#feed(#called, |item| #each).await }))
        }
        None => {
            let outcome = shape.output.outcome(called);
            if is_async {
                quote!(::std::boxed::Box::pin(async move { #outcome }))
            } else {
                quote!({ #outcome })
            }
        }
    };
    let checks = shape.checks();
    let text = signature::text(&method.sig);
    let shown = method
        .attrs
        .iter()
        .filter(|a| ["doc", "cfg", "allow", "deprecated"].iter().any(|name| a.path().is_ident(name)));
    let conditions: Vec<&Attribute> = method.attrs.iter().filter(|a| a.path().is_ident("cfg")).collect();
    let doc = format!("Runs `{name}::{plain}` in the actor.");
    let label = format!("{short}::{plain}");
    let vis = &method.vis;
    let span = ident.span();
    let call = quote_spanned!(span=> self.0.#send);
    let once = shape.items.is_some();
    let sent = quote! {
        #call(
            ::trefoil::__private::MethodInfo::new(#label, #group, #blocking, #once),
            (#(self.0.argument(::trefoil::__private::IntoArg::<#values>::into_arg(#names)),)*),
            move |__actor, (#(#names,)*): (#(::trefoil::__private::Input<#values>,)*)| #body,
        )
    };
    let (gives, sent, encode) = if once {
        let look_ahead = marks.look_ahead.unwrap_or(LOOK_AHEAD);
        let sent = quote! {
            let (__sink, __items) = ::trefoil::__private::RefStream::<#output>::open(#look_ahead);
            let __body = #sent;
            __items.fed_by(__body)
        };
        (quote!(RefStream), sent, quote!(encode_items))
    } else {
        (quote!(Ref), sent, quote!(encode_ref))
    };
    let twin = quote! {
        #[doc = #doc]
        #[doc = ""]
        #(#shown)*
        #[track_caller]
        #vis fn #ident(
            &self,
            #(#names: impl ::trefoil::__private::IntoArg<#values>),*
        ) -> ::trefoil::__private::#gives<#output> {
            #checks
            #sent
        }
    };
    let entry = quote! {
        #(#conditions)*
        ::trefoil::__private::MethodEntry::new(#plain, #text, |__handle, __bytes| {
            let __methods = ::trefoil::__private::methods::<#actor>(__handle)?;
            let (#(#names,)*): (#(#values,)*) = ::trefoil::__private::decode(#plain, __bytes)?;
            ::core::result::Result::Ok(::trefoil::__private::#encode(#plain, __methods.#ident(#(#names),*)))
        })
    };
    Ok((twin, entry))
}

/// The place of the method's group among those of the actor, from 1; 0 if it has none.
fn group_number(marks: &Marks, exclusive: bool, groups: &mut Vec<String>) -> syn::Result<u16> {
    let Some(group) = &marks.group else { return Ok(0) };
    if exclusive {
        let message =
            "a group limits methods that run beside each other: this one has `&mut self` and runs alone";
        return Err(Error::new_spanned(group, message));
    }
    let name = group.value();
    let at = groups.iter().position(|known| *known == name).unwrap_or_else(|| {
        groups.push(name);
        groups.len() - 1
    });
    u16::try_from(at + 1).map_err(|_| Error::new_spanned(group, "too many groups"))
}

/// Writes the actor's name for `Self`, which means another type beside the twins.
struct SelfType<'a>(&'a Ident);

impl VisitMut for SelfType<'_> {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        if let Some(first) = path.segments.first_mut().filter(|segment| segment.ident == "Self") {
            first.ident = Ident::new(&self.0.to_string(), first.ident.span());
        }
        syn::visit_mut::visit_path_mut(self, path);
    }
}
