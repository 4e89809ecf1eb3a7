//! `#[task]` on a function.
//!
//! The generated type of the function's name is an empty enum, not a module:
//! an `impl` block sees the scope around it, so the body keeps its meaning
//! even when the task stands inside another function.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, ItemFn};

use crate::options::{self, Options};
use crate::signature::{self, Shape};

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
    let options = Options::parse(options, &options::TASK)?;
    let shape = Shape::read(&function.sig, "a task", options.fallible)?;
    let ident = &function.sig.ident;
    let vis = &function.vis;
    let short = options.name.clone().unwrap_or_else(|| ident.unraw().to_string());
    let full = match &options.name {
        Some(name) => quote!(#name),
        None => {
            let plain = ident.unraw().to_string();
            quote!(::core::concat!(::core::module_path!(), "::", #plain))
        }
    };
    let (retries, cpus) = (options.retries, options.cpus);

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
    let inputs = shape.params.iter().map(signature::Param::pass_input);
    let owned = shape.params.iter().map(signature::Param::pass_value);
    let wait = shape.is_async.then(|| quote!(.await));
    let from_inputs = shape.output.outcome(quote!(#ident::run(#(#inputs),*) #wait));
    let from_bytes = shape.output.outcome(quote!(#ident::run(#(#owned),*) #wait));
    let checks = shape.checks();
    let text = signature::text(&function.sig);
    let kind_doc =
        format!("The function behind the task [`{ident}`](fn@{ident}) as it was written, and its name.");
    let (create, runner, open, close) = if shape.is_async {
        (quote!(new_async), quote!(Async), quote!(::std::boxed::Box::pin), quote!(async move))
    } else {
        (quote!(new), quote!(Blocking), quote!(), quote!())
    };

    Ok(quote! {
        #(#shown)*
        #[track_caller]
        #vis fn #ident(
            #(#names: impl ::trefoil::__private::IntoArg<#values>),*
        ) -> ::trefoil::__private::Call<#output> {
            ::trefoil::__private::Call::#create(
                ::trefoil::__private::task_spec(#short, #retries, #cpus),
                (#(::trefoil::__private::IntoArg::<#values>::into_arg(#names),)*),
                |(#(#names,)*): (#(::trefoil::__private::Input<#values>,)*)| #close { #from_inputs },
            )
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

            #body
        }

        #(#conditions)*
        const _: () = {
            #checks

            #[::trefoil::__private::linkme::distributed_slice(::trefoil::__private::TASKS)]
            #[linkme(crate = ::trefoil::__private::linkme)]
            static ENTRY: ::trefoil::__private::TaskEntry = ::trefoil::__private::TaskEntry::new(
                #ident::NAME,
                #text,
                #retries,
                #cpus,
                ::trefoil::__private::Runner::#runner(|bytes| #open(#close {
                    let (#(#names,)*): (#(#values,)*) = ::trefoil::__private::decode(#ident::NAME, &bytes)?;
                    ::trefoil::__private::encode(#ident::NAME, &(#from_bytes)?)
                })),
            );
        };
    })
}
