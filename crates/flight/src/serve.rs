//! The server: where it listens, and how it ends.
//!
//! It runs on the control runtime of the session's engine, and ends with it, or with the future that waits for it.

use crate::access::Access;
use crate::service::Service;
use arrow_flight::flight_service_server::FlightServiceServer;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::Session;

/// Settings of a Flight SQL server for a session.
///
/// ```no_run
/// use trefoil_flight::FlightServer;
/// use trefoil_plan::Session;
///
/// let session = Session::local()?;
/// session.block_on(async {
///     let server = FlightServer::new(session.clone()).token("open sesame").bind("127.0.0.1:50051").await?;
///     println!("listening at {}", server.address());
///     server.serve().await
/// })?;
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
#[must_use = "a server does nothing before it is bound and served"]
pub struct FlightServer {
    session: Session,
    token: Option<Arc<str>>,
    tls: Option<(String, String)>,
}

const OPERATION: &str = "flight";

/// The largest message of a client: a batch of rows, some of which send larger ones than the usual 4 MiB.
const MESSAGE: usize = 64 << 20;

fn failed(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Io, OPERATION, format!("{what}: {error}")).with_source(error)
}

impl FlightServer {
    /// A server without token and without TLS.
    pub fn new(session: Session) -> Self {
        Self { session, token: None, tls: None }
    }

    /// Asks every call for a token: `authorization: Bearer token`, or the token as the password of any user.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into().into());
        self
    }

    /// Speaks TLS with this certificate and its key, both as PEM text.
    pub fn tls(mut self, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        self.tls = Some((certificate.into(), key.into()));
        self
    }

    /// Listens at an address such as `127.0.0.1:50051`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for an address that is none, or a certificate or key that cannot be read;
    /// [`ErrorKind::Io`] when the address cannot be had, [`ErrorKind::ShutDown`].
    pub async fn bind(self, address: &str) -> Result<Bound> {
        let wrong = |message: String| Error::new(ErrorKind::InvalidArgument, OPERATION, message);
        let address: SocketAddr = address.parse().map_err(|error| {
            wrong(format!("`{address}` is no address: {error}"))
                .with_help("write an address and a port, such as 127.0.0.1:50051")
        })?;
        let mut server = Server::builder();
        if let Some((certificate, key)) = self.tls {
            let config = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
            server = server.tls_config(config).map_err(|error| {
                wrong(format!("certificate or key: {}", causes(&error)))
                    .with_help("both are PEM texts, as files that begin with -----BEGIN")
                    .with_source(error)
            })?;
        }
        // Sockets belong to the engine's control runtime, whichever executor waits for this.
        let engine = self.session.engine();
        if engine.is_shut_down() {
            return Err(Error::new(ErrorKind::ShutDown, OPERATION, "the engine has been shut down"));
        }
        let listener = engine
            .control()
            .spawn(TcpListener::bind(address))
            .await
            .map_err(|error| failed("cannot listen", error))?
            .map_err(|error| failed(&format!("cannot listen at {address}"), error))?;
        let address = listener.local_addr().map_err(|error| failed("no address", error))?;
        Ok(Bound { session: self.session, access: Access::new(self.token), server, listener, address })
    }
}

/// A server that listens, and does not answer yet.
#[must_use = "a bound server answers nobody before `serve`"]
pub struct Bound {
    session: Session,
    access: Access,
    server: Server,
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the engine is shut down or the future is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the connection breaks.
    pub async fn serve(self) -> Result<()> {
        self.serve_until(std::future::pending()).await
    }

    /// Answers until `end` is done; calls under way are finished.
    ///
    /// # Errors
    /// As [`Bound::serve`].
    pub async fn serve_until(mut self, end: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let service = Service::new(self.session.clone(), self.access.clone());
        let service = FlightServiceServer::new(service).max_decoding_message_size(MESSAGE);
        let router = self.server.add_service(InterceptedService::new(service, self.access));
        let incoming = TcpListenerStream::new(self.listener);
        let serving = router.serve_with_incoming_shutdown(incoming, end);
        Abort(self.session.engine().control().spawn(serving)).end().await
    }
}

/// What an error says, with its causes: the outermost says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        text.push_str(&format!(": {cause}"));
        at = cause.source();
    }
    text
}

/// The task of the server, which ends with the future that waits for it.
struct Abort(tokio::task::JoinHandle<Result<(), tonic::transport::Error>>);

impl Abort {
    async fn end(mut self) -> Result<()> {
        match (&mut self.0).await {
            Ok(done) => done.map_err(|error| failed("the server stopped", error)),
            Err(_) => Ok(()),
        }
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}
