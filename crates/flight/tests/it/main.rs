//! A server and a client in one process: queries, parameters, changes, rows of the client, lists, tokens, TLS, and the end.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    CommandGetTables, CommandStatementIngest, SqlInfo, TableDefinitionOptions, TableExistsOption,
    TableNotExistOption,
};
use futures::TryStreamExt;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use trefoil_flight::FlightServer;
use trefoil_plan::Session;
use trefoil_plan::arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use trefoil_plan::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use trefoil_sql::SqlSession;

type Client = FlightSqlServiceClient<Channel>;

fn session() -> Session {
    Session::builder().workers(2).memory("256MiB").build().unwrap()
}

/// Serves until the test is over, on the engine's own threads.
async fn serve(server: FlightServer) -> SocketAddr {
    let bound = server.bind("127.0.0.1:0").await.unwrap();
    let address = bound.address();
    tokio::spawn(bound.serve());
    address
}

async fn connect(address: SocketAddr, tls: Option<&str>) -> Client {
    let endpoint = match tls {
        Some(certificate) => Endpoint::from_shared(format!("https://localhost:{}", address.port()))
            .unwrap()
            .tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate)))
            .unwrap(),
        None => Endpoint::from_shared(format!("http://{address}")).unwrap(),
    };
    FlightSqlServiceClient::new(endpoint.connect().await.unwrap())
}

async fn rows(client: &mut Client, info: arrow_flight::FlightInfo) -> Result<Vec<RecordBatch>, FlightError> {
    let mut all = Vec::new();
    for endpoint in info.endpoint {
        let stream = client.do_get(endpoint.ticket.unwrap()).await?;
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        all.extend(batches);
    }
    Ok(all)
}

async fn query(client: &mut Client, text: &str) -> Result<Vec<RecordBatch>, FlightError> {
    let info = client.execute(text.to_owned(), None).await?;
    rows(client, info).await
}

#[tokio::test]
async fn queries_and_changes() {
    let session = session();
    let address = serve(FlightServer::new(session.clone())).await;
    let mut client = connect(address, None).await;

    let answer = query(&mut client, "SELECT id, id * 2 AS twice FROM range(5) ORDER BY id").await.unwrap();
    let twice: Vec<i64> =
        answer.iter().flat_map(|b| b.column(1).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(twice, [0, 2, 4, 6, 8]);

    let error = query(&mut client, "SELECT prise FROM VALUES (1) AS t(price)").await.unwrap_err();
    assert!(error.to_string().contains("did you mean `price`"), "{error}");

    client
        .execute_update("CREATE TABLE t AS SELECT * FROM VALUES (1, 'a') AS t(n, s)".into(), None)
        .await
        .unwrap();
    assert_eq!(
        client.execute_update("INSERT INTO t VALUES (2, 'b'), (3, 'c')".into(), None).await.unwrap(),
        2
    );

    // A prepared statement with a value.
    let mut prepared = client.prepare("SELECT s FROM t WHERE n = ?".into(), None).await.unwrap();
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    let value = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![3]))]).unwrap();
    prepared.set_parameters(value).unwrap();
    let info = prepared.execute().await.unwrap();
    let answer = rows(&mut client, info).await.unwrap();
    assert_eq!(answer[0].column(0).as_string::<i32>().value(0), "c");
    prepared.close().await.unwrap();

    // Preparing carries nothing out.
    let mut prepared = client.prepare("INSERT INTO t VALUES (4, 'd')".into(), None).await.unwrap();
    assert_eq!(session.sql("SELECT * FROM t").await.unwrap().count().await.unwrap(), 3);
    assert_eq!(prepared.execute_update().await.unwrap(), 1);
    assert_eq!(session.sql("SELECT * FROM t").await.unwrap().count().await.unwrap(), 4);
}

#[tokio::test]
async fn plain_columns() {
    // A Parquet file gives texts with views, which clients may not know.
    let dir = tempfile::tempdir().unwrap();
    let session = session();
    let path = dir.path().join("t.parquet");
    let frame = session.sql("SELECT 'a long enough text' AS s, 1 AS n").await.unwrap();
    frame.write_parquet(&path).await.unwrap();
    let address = serve(FlightServer::new(session)).await;
    let mut client = connect(address, None).await;
    let text = format!("SELECT s, n FROM parquet.`{}`", path.display());
    let info = client.execute(text, None).await.unwrap();
    let schema = info.clone().try_decode_schema().unwrap();
    assert_eq!(schema.field(0).data_type(), &DataType::Utf8);
    let answer = rows(&mut client, info).await.unwrap();
    assert_eq!(answer[0].schema().fields(), schema.fields());
    assert_eq!(answer[0].column(0).as_string::<i32>().value(0), "a long enough text");
}

#[tokio::test]
async fn rows_of_the_client() {
    let session = session();
    let address = serve(FlightServer::new(session.clone())).await;
    let mut client = connect(address, None).await;
    let batch = |from: i64, to: i64| {
        let column = Arc::new(Int64Array::from_iter_values(from..to));
        Ok(RecordBatch::try_from_iter([("n", column as _)]).unwrap())
    };
    let command = |exists: TableExistsOption, missing: TableNotExistOption| CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_exists: exists.into(),
            if_not_exist: missing.into(),
        }),
        table: "odd `name`".into(),
        ..CommandStatementIngest::default()
    };
    use TableExistsOption::{Append, Fail, Replace};
    use TableNotExistOption::Create;
    let send = async |client: &mut Client, command, batches: Vec<Result<RecordBatch, FlightError>>| {
        client
            .execute_ingest(command, futures::stream::iter(batches))
            .await
            .map_err(|error| error.to_string())
    };
    let count = async || {
        session.sql("SELECT sum(n) FROM `odd ``name```").await.unwrap().collect().await.unwrap()[0]
            .column(0)
            .as_primitive::<Int64Type>()
            .value(0)
    };
    assert!(send(&mut client, command(Append, TableNotExistOption::Fail), vec![batch(0, 1)]).await.is_err());
    assert_eq!(send(&mut client, command(Fail, Create), vec![batch(0, 3), batch(3, 5)]).await, Ok(5));
    assert_eq!(count().await, 10);
    let error = send(&mut client, command(Fail, Create), vec![batch(0, 1)]).await.unwrap_err();
    assert!(error.contains("already"), "{error}");
    assert_eq!(send(&mut client, command(Append, Create), vec![batch(5, 7)]).await, Ok(2));
    assert_eq!(count().await, 21);
    assert_eq!(send(&mut client, command(Replace, Create), vec![batch(1, 2)]).await, Ok(1));
    assert_eq!(count().await, 1);
    assert_eq!(session.tables(), ["odd `name`"]);
    // What would be ignored is refused.
    for wrong in [
        CommandStatementIngest { temporary: true, ..command(Replace, Create) },
        CommandStatementIngest { catalog: Some("other".into()), ..command(Replace, Create) },
        CommandStatementIngest { transaction_id: Some("1".into()), ..command(Replace, Create) },
    ] {
        assert!(send(&mut client, wrong, vec![batch(0, 1)]).await.is_err());
    }
    assert!(client.execute("SELECT 1".into(), Some("1".into())).await.is_err());
    assert!(client.begin_transaction().await.is_err());
}

#[tokio::test]
async fn a_client_that_goes_away_stops_its_query() {
    let session = session();
    let address = serve(FlightServer::new(session.clone())).await;
    let mut client = connect(address, None).await;
    let info =
        client.execute("SELECT a.id FROM range(3000000) AS a, range(1000) AS b".into(), None).await.unwrap();
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    assert!(stream.try_next().await.unwrap().is_some_and(|batch| batch.num_rows() > 0));
    let running = || session.engine().queries().0.iter().filter(|query| query.outcome.is_none()).count();
    assert_eq!(running(), 1);
    drop(stream);
    drop(client);
    let ended = async {
        while running() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("the query goes on without its client");
}

#[tokio::test]
async fn lists() {
    let session = session();
    let _ = session.sql("CREATE VIEW v AS SELECT 1 AS one").await.unwrap();
    let address = serve(FlightServer::new(session)).await;
    let mut client = connect(address, None).await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(rows(&mut client, info).await.unwrap()[0].column(0).as_string::<i32>().value(0), "trefoil");
    let all = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
    let info = client.get_tables(all).await.unwrap();
    let tables = rows(&mut client, info).await.unwrap();
    assert_eq!(tables[0].column_by_name("table_name").unwrap().as_string::<i32>().value(0), "v");
    let info = client.get_sql_info(vec![SqlInfo::FlightSqlServerName]).await.unwrap();
    assert_eq!(rows(&mut client, info).await.unwrap()[0].num_rows(), 1);
    let info = client.get_table_types().await.unwrap();
    assert_eq!(rows(&mut client, info).await.unwrap()[0].num_rows(), 1);
}

#[tokio::test]
async fn tokens() {
    let address = serve(FlightServer::new(session()).token("open sesame")).await;
    let mut client = connect(address, None).await;
    let error = query(&mut client, "SELECT 1").await.unwrap_err();
    assert!(error.to_string().contains("token"), "{error}");
    client.set_token("wrong".into());
    assert!(query(&mut client, "SELECT 1").await.is_err());
    client.set_token("open sesame".into());
    assert_eq!(
        query(&mut client, "SELECT 1").await.unwrap()[0].column(0).as_primitive::<Int32Type>().value(0),
        1
    );
    // A user and a password are exchanged for the token.
    let mut other = connect(address, None).await;
    assert!(other.handshake("ada", "wrong").await.is_err());
    other.handshake("ada", "open sesame").await.unwrap();
    assert!(query(&mut other, "SELECT 1").await.is_ok());
}

#[tokio::test]
async fn tls() {
    let read = |name: &str| {
        std::fs::read_to_string(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let (certificate, key) = (read("cert.pem"), read("key.pem"));
    let address = serve(FlightServer::new(session()).tls(&certificate, key)).await;
    let mut client = connect(address, Some(&certificate)).await;
    assert!(query(&mut client, "SELECT 1").await.is_ok());
    // Without TLS nothing is understood.
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut plain = FlightSqlServiceClient::new(endpoint.connect_lazy());
    assert!(query(&mut plain, "SELECT 1").await.is_err());
    let wrong = FlightServer::new(session()).tls("no certificate", "no key");
    let error = wrong.bind("127.0.0.1:0").await.err().unwrap();
    assert_eq!(error.kind(), trefoil_plan::ErrorKind::InvalidArgument, "{error}");
}

#[tokio::test]
async fn many_rows_and_the_end() {
    let session = session();
    let bound = FlightServer::new(session.clone()).bind("127.0.0.1:0").await.unwrap();
    let address = bound.address();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(bound.serve_until(async {
        let _ = stopped.await;
    }));
    let mut client = connect(address, None).await;
    let answer = query(&mut client, "SELECT id, cast(id AS STRING) AS s FROM range(300000)").await.unwrap();
    assert_eq!(answer.iter().map(RecordBatch::num_rows).sum::<usize>(), 300_000);
    let texts: Vec<&StringArray> = answer.iter().map(|b| b.column(1).as_string::<i32>()).collect();
    assert_eq!(texts.iter().map(|t| t.len()).sum::<usize>(), 300_000);
    drop(client);
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
    // The port is free again, and nothing of the queries is left.
    assert!(FlightServer::new(session.clone()).bind(&address.to_string()).await.is_ok());
    assert_eq!(session.engine().budget().reserved(), 0);
    for wrong in ["nowhere", "127.0.0.1:x"] {
        assert!(FlightServer::new(session.clone()).bind(wrong).await.is_err());
    }
}
