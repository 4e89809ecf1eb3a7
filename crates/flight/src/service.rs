//! Flight SQL over a session.
//!
//! A query is planned when a client asks about it, and runs when the client fetches its rows; between the two its frame
//! waits under a handle. A prepared statement is its text and the values bound to it; it is planned again for each
//! run. Statements that are no queries run once, when the client fetches or puts them.

use crate::access::Access;
use crate::answers::{self, Batches, status};
use crate::ingest;
use crate::state::{State, is_query, values};
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, CommandGetCatalogs, CommandGetDbSchemas, CommandGetSqlInfo,
    CommandGetTableTypes, CommandGetTables, CommandPreparedStatementQuery, CommandPreparedStatementUpdate,
    CommandStatementIngest, CommandStatementQuery, CommandStatementUpdate, DoPutPreparedStatementResult,
    ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{Action, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse, Ticket};
use bytes::Bytes;
use futures::Stream;
use prost::Message;
use std::pin::Pin;
use tonic::{Request, Response, Status, Streaming};
use trefoil_plan::{DataFrame, Session};
use trefoil_sql::{Parameter, Parameters, SqlSession};

/// What clients call the only catalog and its schema.
const CATALOG: &str = "trefoil";
const SCHEMA: &str = "default";

/// The service.
pub(crate) struct Service {
    session: Session,
    access: Access,
    state: State,
    about: Option<SqlInfoData>,
}

/// Refuses what would be ignored otherwise.
fn no_transaction(id: &Option<Bytes>) -> Result<(), Status> {
    match id {
        Some(id) if !id.is_empty() => Err(Status::unimplemented("transactions are not supported")),
        _ => Ok(()),
    }
}

impl Service {
    pub(crate) fn new(session: Session, access: Access) -> Self {
        let mut about = SqlInfoDataBuilder::new();
        about.append(SqlInfo::FlightSqlServerName, "trefoil");
        about.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
        about.append(SqlInfo::FlightSqlServerArrowVersion, "59");
        about.append(SqlInfo::FlightSqlServerReadOnly, false);
        about.append(SqlInfo::FlightSqlServerSql, true);
        about.append(SqlInfo::FlightSqlServerSubstrait, false);
        about.append(SqlInfo::FlightSqlServerTransaction, 0_i32);
        about.append(SqlInfo::FlightSqlServerCancel, false);
        about.append(SqlInfo::FlightSqlServerBulkIngestion, true);
        Self { session, access, state: State::default(), about: about.build().ok() }
    }

    fn about(&self) -> Result<&SqlInfoData, Status> {
        self.about.as_ref().ok_or_else(|| Status::internal("the description of the server is missing"))
    }

    async fn run(&self, text: &str, values: &[Parameter]) -> Result<DataFrame, Status> {
        let parameters = values.iter().cloned().fold(Parameters::new(), Parameters::with);
        self.session.sql_with(text, parameters).await.map_err(status)
    }

    /// Plans a query, which then waits for being fetched.
    async fn plan(&self, text: &str, values: &[Parameter], descriptor: FlightDescriptor) -> Info {
        let frame = self.run(text, values).await?;
        let schema = answers::plain_schema(&frame.schema());
        let ticket = TicketStatementQuery { statement_handle: self.state.wait(frame) };
        answers::info(descriptor, &schema, ticket.as_any().encode_to_vec())
    }

    /// Runs a statement once for each row of values.
    async fn update(&self, text: &str, rows: &[Vec<Parameter>]) -> Result<i64, Status> {
        let once = [Vec::new()];
        let rows = if rows.is_empty() { &once[..] } else { rows };
        let mut changed = 0;
        for values in rows {
            let batches = self.run(text, values).await?.collect().await.map_err(status)?;
            changed = match (changed, answers::changed(&batches)) {
                (-1, _) | (_, -1) => -1,
                (sum, more) => sum + more,
            };
        }
        Ok(changed)
    }
}

type Info = Result<Response<FlightInfo>, Status>;
type Data = Result<Response<Batches>, Status>;

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Service;

    /// A user name and a password for a token; the interceptor has looked at them.
    async fn do_handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>>, Status> {
        let token = self.access.token().unwrap_or_default().to_owned();
        let answer = HandshakeResponse { protocol_version: 0, payload: token.clone().into() };
        let answers: Pin<Box<dyn Stream<Item = _> + Send>> = Box::pin(futures::stream::iter([Ok(answer)]));
        let mut response = Response::new(answers);
        let header = format!("Bearer {token}").parse();
        let header = header.map_err(|_| Status::internal("the token cannot be a header"))?;
        response.metadata_mut().insert("authorization", header);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        no_transaction(&query.transaction_id)?;
        self.plan(&query.query, &[], request.into_inner()).await
    }

    async fn do_get_statement(&self, ticket: TicketStatementQuery, _request: Request<Ticket>) -> Data {
        Ok(Response::new(answers::rows(&self.state.fetch(&ticket.statement_handle)?)))
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        no_transaction(&query.transaction_id)?;
        // A statement that is no query would be carried out by being planned; one with values to come has no types yet.
        let schema = match is_query(&query.query) {
            true => match self.session.sql(&query.query).await {
                Ok(frame) => Some(answers::plain_schema(&frame.schema())),
                Err(_) if query.query.contains('?') => None,
                Err(error) => return Err(status(error)),
            },
            false => None,
        };
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.state.prepare(query.query),
            dataset_schema: match schema {
                Some(schema) => answers::schema_bytes(&schema)?,
                None => Bytes::new(),
            },
            parameter_schema: Bytes::new(),
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        self.state.close(&query.prepared_statement_handle)
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let batches = ingest::all(request).await?;
        let rows = batches.iter().map(values).collect::<Result<Vec<_>, _>>()?.concat();
        self.state.bind(&query.prepared_statement_handle, rows)?;
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(query.prepared_statement_handle) })
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let prepared = self.state.prepared(&query.prepared_statement_handle)?;
        if prepared.bound.len() > 1 {
            return Err(Status::invalid_argument("a query takes one row of values"));
        }
        let values = prepared.bound.first().cloned().unwrap_or_default();
        self.plan(&prepared.text, &values, request.into_inner()).await
    }

    async fn do_put_statement_update(
        &self,
        update: CommandStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        no_transaction(&update.transaction_id)?;
        self.update(&update.query, &[]).await
    }

    async fn do_put_prepared_statement_update(
        &self,
        update: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let prepared = self.state.prepared(&update.prepared_statement_handle)?;
        let batches = ingest::all(request).await?;
        let mut rows = batches.iter().map(values).collect::<Result<Vec<_>, _>>()?.concat();
        if rows.is_empty() {
            rows = prepared.bound;
        }
        self.update(&prepared.text, &rows).await
    }

    /// Rows of the client as a table.
    async fn do_put_statement_ingest(
        &self,
        ingest: CommandStatementIngest,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        no_transaction(&ingest.transaction_id)?;
        if ingest.temporary {
            return Err(Status::unimplemented("temporary tables are not supported"));
        }
        let named = [(&ingest.catalog, CATALOG), (&ingest.schema, SCHEMA)];
        if let Some((Some(name), ours)) = named
            .into_iter()
            .find(|(name, ours)| name.as_ref().is_some_and(|name| !name.is_empty() && name.as_str() != *ours))
        {
            return Err(Status::not_found(format!(
                "there is no `{name}` to put a table into, only `{ours}`"
            )));
        }
        let source = format!("flight ingest {}", self.state.number());
        ingest::table(&self.session, &ingest, request, &source).await
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let ticket = query.as_any().encode_to_vec();
        answers::info(request.into_inner(), &query.into_builder().schema(), ticket)
    }

    async fn do_get_catalogs(&self, query: CommandGetCatalogs, _request: Request<Ticket>) -> Data {
        let mut builder = query.into_builder();
        builder.append(CATALOG);
        answers::batch(builder.build())
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let ticket = query.as_any().encode_to_vec();
        answers::info(request.into_inner(), &query.into_builder().schema(), ticket)
    }

    async fn do_get_schemas(&self, query: CommandGetDbSchemas, _request: Request<Ticket>) -> Data {
        let mut builder = query.into_builder();
        builder.append(CATALOG, SCHEMA);
        answers::batch(builder.build())
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let ticket = query.as_any().encode_to_vec();
        answers::info(request.into_inner(), &query.into_builder().schema(), ticket)
    }

    async fn do_get_tables(&self, query: CommandGetTables, _request: Request<Ticket>) -> Data {
        let mut builder = query.into_builder();
        for name in self.session.tables() {
            let schema = self.session.table(&name).await.map_err(status)?.schema();
            builder.append(CATALOG, SCHEMA, &name, "TABLE", &schema)?;
        }
        answers::batch(builder.build())
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let ticket = query.as_any().encode_to_vec();
        answers::info(request.into_inner(), &query.into_builder().schema(), ticket)
    }

    async fn do_get_table_types(&self, query: CommandGetTableTypes, _request: Request<Ticket>) -> Data {
        let mut builder = query.into_builder();
        builder.append("TABLE");
        answers::batch(builder.build())
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let ticket = query.as_any().encode_to_vec();
        let schema = query.into_builder(self.about()?).schema();
        answers::info(request.into_inner(), &schema, ticket)
    }

    async fn do_get_sql_info(&self, query: CommandGetSqlInfo, _request: Request<Ticket>) -> Data {
        answers::batch(query.into_builder(self.about()?).build())
    }

    async fn do_get_fallback(&self, _request: Request<Ticket>, message: Any) -> Data {
        Err(Status::unimplemented(format!("{} is not supported", message.type_url)))
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}
