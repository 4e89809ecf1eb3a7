//! Who may call: a token, as `Authorization: Bearer token`, or as the password of `Basic` with any user name.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::sync::Arc;
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// The check of every call; without a token everyone may.
#[derive(Clone)]
pub(crate) struct Access {
    token: Option<Arc<str>>,
}

impl Access {
    pub(crate) fn new(token: Option<Arc<str>>) -> Self {
        Self { token }
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    fn check(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let Some(token) = &self.token else { return Ok(()) };
        let given = metadata.get("authorization").and_then(|value| value.to_str().ok());
        let Some(given) = given else {
            return Err(Status::unauthenticated("this server asks for a token: `authorization: Bearer ..`"));
        };
        if word(given).is_some_and(|word| same(word.as_bytes(), token.as_bytes())) {
            return Ok(());
        }
        Err(Status::unauthenticated("the token is not this server's"))
    }
}

/// The token of a header.
fn word(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

/// Takes as long whatever the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (x, y)| different | (x ^ y)) == 0
}

impl Interceptor for Access {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.check(request.metadata())?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let check = |header: Option<&str>, expect: bool| {
            let mut metadata = MetadataMap::new();
            if let Some(header) = header {
                metadata.insert("authorization", header.parse().unwrap());
            }
            let found = Access::new(Some("open sesame".into())).check(&metadata).is_ok();
            assert_eq!(found, expect, "{header:?}");
            assert!(Access::new(None).check(&metadata).is_ok());
        };
        check(None, false);
        check(Some("Bearer open sesame"), true);
        check(Some("bearer open sesame"), true);
        check(Some("Bearer open sesam"), false);
        check(Some("Bearer"), false);
        check(Some("Digest open sesame"), false);
        check(Some(&format!("Basic {}", BASE64_STANDARD.encode("ada:open sesame"))), true);
        check(Some(&format!("Basic {}", BASE64_STANDARD.encode("ada:x"))), false);
        check(Some("Basic ???"), false);
    }
}
