//! `#[task]` on a function.
//!
//! The generated type of the function's name is an empty enum, not a module:
//! an `impl` block sees the scope around it, so the body keeps its meaning
//! even when the task stands inside another function.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, Ident, ItemFn};

use crate::signature::{self, Items, Shape};
use crate::task_options::TaskOptions;

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => function,
        Err(_) => {
            let error = syn::Error::new(
                proc_macro2::Span::call_site(),
                "#[task] stands on a free function with a body; for the methods of a type use #[actor] on its impl block",
            )
            .to_compile_error();
            return quote! { #error #item };
        }
    };
    if let Some(FnArg::Receiver(receiver)) =
        function.sig.receiver().map(|r| FnArg::Receiver(r.clone())).as_ref()
    {
        return syn::Error::new_spanned(
            receiver,
            "a task has no `self`: make it a free function, or put #[actor] on the impl block",
        )
        .to_compile_error();
    }
    match generate(options, &function) {
        Ok(tokens) => tokens,
        Err(error) => {
            // The function stays, so that its other errors and its callers'
            // are about what the user wrote.
            let error = error.to_compile_error();
            quote! { #error #item }
        }
    }
}

fn generate(options: TokenStream, function: &ItemFn) -> syn::Result<TokenStream> {
    let options = TaskOptions::parse(options)?;
    let read = if options.stream { Shape::read_stream } else { Shape::read };
    let shape = read(&function.sig, "a task", options.fallible)?;
    let ident = &function.sig.ident;
    let vis = &function.vis;
    let plain = ident.unraw().to_string();
    let short = options.name.as_ref().unwrap_or(&plain);
    let full = match &options.name {
        Some(name) => quote!(#name),
        None => quote!(::core::concat!(::core::module_path!(), "::", #plain)),
    };

    let conditions: Vec<&Attribute> = function.attrs.iter().filter(|a| a.path().is_ident("cfg")).collect();
    let shown: Vec<&Attribute> = function
        .attrs
        .iter()
        .filter(|a| ["doc", "cfg", "allow", "deprecated"].iter().any(|name| a.path().is_ident(name)))
        .collect();

    let mut body = function.clone();
    body.sig.ident = format_ident!("run", span = ident.span());

    let names = shape.names();
    let values = shape.values();
    let output = &shape.output.value;
    let checks = shape.checks();
    let text = signature::text(&function.sig);
    let kind_doc =
        format!("The function behind the task [`{ident}`](fn@{ident}) as it was written, and its name.");
    let spec = spec(&options, short);
    let Made { call, make, runner } = match shape.items {
        None => plain_task(ident, &shape),
        Some(items) => stream_task(ident, &shape, items, options.look_ahead),
    };

    Ok(quote! {
        #(#shown)*
        #[track_caller]
        #vis fn #ident(
            #(#names: impl ::trefoil::__private::IntoArg<#values>),*
        ) -> ::trefoil::__private::#call<#output> {
            #make
        }

        #(#conditions)*
        #[doc = #kind_doc]
        #[allow(non_camel_case_types)]
        #vis enum #ident {}

        #(#conditions)*
        impl #ident {
            /// The name under which the task is registered.
            #[allow(dead_code)]
            #vis const NAME: &'static str = #full;

            /// The task's name and options, for a call from here.
            #[doc(hidden)]
            #[inline]
            #[track_caller]
            #vis fn __spec() -> ::trefoil::__private::TaskSpec {
                #spec
            }

            #body
        }

        #(#conditions)*
        const _: () = {
            #checks

            #[::trefoil::__private::linkme::distributed_slice(::trefoil::__private::TASKS)]
            #[linkme(crate = ::trefoil::__private::linkme)]
            static ENTRY: ::trefoil::__private::TaskEntry =
                ::trefoil::__private::TaskEntry::new(#ident::NAME, #text, #ident::__spec, #runner);
        };
    })
}

/// The body of `__spec`. Options are put together once, not per call.
fn spec(options: &TaskOptions, short: &str) -> TokenStream {
    let changes = &options.spec;
    if changes.is_empty() {
        return quote!(::trefoil::__private::TaskSpec::new(#short));
    }
    quote! {
        static SPEC: ::std::sync::LazyLock<::trefoil::__private::TaskSpec> =
            ::std::sync::LazyLock::new(|| ::trefoil::__private::TaskSpec::new(#short) #changes);
        ::trefoil::__private::spec_from_here(&SPEC)
    }
}

/// What differs between a task with one result and one with a stream of them.
struct Made {
    /// The type the function gives, without its parameter.
    call: TokenStream,
    /// The expression of that type.
    make: TokenStream,
    /// How it runs on encoded arguments.
    runner: TokenStream,
}

/// The statement that decodes the arguments from `bytes`.
fn decoded(ident: &Ident, shape: &Shape) -> TokenStream {
    let (names, values) = (shape.names(), shape.values());
    quote! {
        let (#(#names,)*): (#(#values,)*) = ::trefoil::__private::decode(#ident::NAME, &bytes)?;
    }
}

fn plain_task(ident: &Ident, shape: &Shape) -> Made {
    let (names, values) = (shape.names(), shape.values());
    let inputs = shape.params.iter().map(signature::Param::pass_input);
    let owned = shape.params.iter().map(signature::Param::pass_value);
    let wait = shape.is_async.then(|| quote!(.await));
    let from_inputs = shape.output.outcome(quote!(#ident::run(#(#inputs),*) #wait));
    let from_bytes = shape.output.outcome(quote!(#ident::run(#(#owned),*) #wait));
    let decoded = decoded(ident, shape);
    let (create, runner, open, close) = if shape.is_async {
        (quote!(of_async), quote!(Async), quote!(::std::boxed::Box::pin), quote!(async move))
    } else {
        (quote!(of), quote!(Blocking), quote!(), quote!())
    };
    Made {
        call: quote!(Call),
        make: quote! {
            ::trefoil::__private::Call::#create(
                #ident::__spec(),
                (#(::trefoil::__private::IntoArg::<#values>::into_arg(#names),)*),
                |(#(#names,)*): (#(::trefoil::__private::Input<#values>,)*)| #close { #from_inputs },
            )
        },
        runner: quote! {
            ::trefoil::__private::Runner::#runner(|bytes| #open(#close {
                #decoded
                ::trefoil::__private::encode(#ident::NAME, &(#from_bytes)?)
            }))
        },
    }
}

fn stream_task(ident: &Ident, shape: &Shape, items: Items, look_ahead: Option<usize>) -> Made {
    let (names, values) = (shape.names(), shape.values());
    let output = &shape.output.value;
    let inputs = shape.params.iter().map(signature::Param::pass_input);
    let owned = shape.params.iter().map(signature::Param::pass_value);
    let each = shape.output.outcome(quote!(item));
    let (feed, collect) = match items {
        Items::Iterator => (quote!(feed_iter), quote!(collect_iter)),
        Items::Stream => (quote!(feed_stream), quote!(collect_stream)),
    };
    let wait = (items == Items::Stream).then(|| quote!(.await));
    let look_ahead = look_ahead.map(|count| quote!(.look_ahead(#count)));
    let decoded = decoded(ident, shape);
    Made {
        call: quote!(StreamCall),
        make: quote! {
            ::trefoil::__private::StreamCall::new(
                #ident::__spec(),
                (#(::trefoil::__private::IntoArg::<#values>::into_arg(#names),)*),
                |
                    (#(#names,)*): (#(::trefoil::__private::Input<#values>,)*),
                    __sink: ::trefoil::__private::StreamSink<#output>,
                | async move { __sink.#feed(#ident::run(#(#inputs),*), |item| #each).await },
            )
            #look_ahead
        },
        runner: quote! {
            ::trefoil::__private::Runner::Async(|bytes| ::std::boxed::Box::pin(async move {
                #decoded
                let all: ::std::vec::Vec<#output> =
                    ::trefoil::__private::#collect(#ident::run(#(#owned),*), |item| #each) #wait ?;
                ::trefoil::__private::encode(#ident::NAME, &all)
            }))
        },
    }
}
