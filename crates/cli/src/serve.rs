//! `trefoil serve`: the session for Flight SQL clients, until Ctrl-C.
//!
//! Statements of `--init` run first, such as views over files. The token comes from the environment or a file, because a
//! command line is seen by everyone on the machine.

use crate::args::read_file;
use crate::interrupt::Interrupts;
use crate::{Outcome, write_error};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_flight::FlightServer;
use trefoil_plan::Session;
use trefoil_sql::{SqlSession, split_statements};

/// The variable of the environment that holds the token.
const TOKEN: &str = "TREFOIL_TOKEN";

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    listen: String,
    /// File of statements to run first; may be given several times
    #[arg(long, value_name = "FILE")]
    init: Vec<PathBuf>,
    /// File with the token that clients must give [default: TREFOIL_TOKEN of the environment; without, none is asked]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificate for TLS, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl Serve {
    fn token(&self) -> Result<Option<String>> {
        let token = match &self.token_file {
            Some(file) => Some(read_file(file)?.trim_end().to_owned()),
            None => std::env::var(TOKEN).ok(),
        };
        match token {
            Some(token) if token.is_empty() => {
                Err(Error::new(ErrorKind::InvalidArgument, "serve", "the token is empty"))
            }
            other => Ok(other),
        }
    }
}

pub(crate) fn run(session: &Session, serve: &Serve, out: &mut dyn Write, interrupts: &Interrupts) -> Outcome {
    let mut server = FlightServer::new(session.clone());
    if let Some(token) = serve.token()? {
        server = server.token(token);
    }
    if let (Some(certificate), Some(key)) = (&serve.tls_cert, &serve.tls_key) {
        server = server.tls(read_file(certificate)?, read_file(key)?);
    }
    let texts = serve.init.iter().map(|file| read_file(file)).collect::<Result<Vec<_>>>()?;
    session.block_on(interrupts.guard(async {
        for statement in texts.iter().flat_map(|text| split_statements(text)) {
            session.sql(statement).await?.collect().await?;
        }
        let bound = server.bind(&serve.listen).await?;
        writeln!(out, "listening at {}", bound.address()).and_then(|()| out.flush()).map_err(write_error)?;
        bound.serve().await
    }))
}
