//! The shell as a user calls it: arguments and input in, output, errors and exit code out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use trefoil_cli::run_with;

/// What one call of the shell gave.
struct Given {
    code: u8,
    out: String,
    err: String,
}

fn shell(args: &[&str], input: &str) -> Given {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once("trefoil").chain(args.iter().copied());
    let code = run_with(args, &mut input.as_bytes(), &mut out, &mut err);
    Given { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

#[test]
fn formats() {
    #[track_caller]
    fn check(format: &str, query: &str, expect: &str) {
        let given = shell(&["sql", "--format", format, query], "");
        assert_eq!((given.code, given.err.as_str()), (0, ""), "{query}");
        assert_eq!(given.out, expect, "{query}");
    }
    check("csv", "SELECT 1 AS a, 'x' AS b", "a,b\n1,x\n");
    check(
        "csv",
        "SELECT 'a,b' AS a, 'say \"hi\"' AS b, 'two\nlines' AS c",
        "a,b,c\n\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\n",
    );
    check("csv", "SELECT NULL AS a, 'NULL' AS b", "a,b\nNULL,\"NULL\"\n");
    check("csv", "SELECT 1 AS a WHERE false", "a\n");
    check("json", "SELECT 1 AS a, 'x' AS b, NULL AS c", "[{\"a\":1,\"b\":\"x\",\"c\":null}]\n");
    check("json", "SELECT * FROM (VALUES (1), (2)) AS t(a) ORDER BY a", "[{\"a\":1},\n{\"a\":2}]\n");
    check("json", "SELECT 1 AS a WHERE false", "[]\n");
    // Values as Spark prints them.
    check(
        "csv",
        "SELECT 1e10D AS d, array(1, NULL) AS l, map('k', 1.50) AS m, true AS b",
        "d,l,m,b\n1.0E10,\"[1,null]\",\"{\"\"k\"\":1.50}\",true\n",
    );
    check("csv", "SELECT 7 / 2 AS q", "q\n3.5\n");
    check(
        "table",
        "SELECT * FROM (VALUES (1, 'long text'), (20, 'x')) AS t(n, s) ORDER BY n",
        "+----+-----------+\n|  n | s         |\n+----+-----------+\n|  1 | long text |\n| 20 | x         |\n+----+-----------+\n",
    );
    check("table", "SELECT 'a\nb' AS s", "+------+\n| s    |\n+------+\n| a\\nb |\n+------+\n");
}

#[test]
fn more_rows_than_are_measured() {
    let query = "SELECT value AS v FROM generate_series(1, 30000) ORDER BY v";
    let given = shell(&["--dialect", "datafusion", "sql", query], "");
    assert_eq!(given.code, 0, "{}", given.err);
    let lines: Vec<&str> = given.out.lines().collect();
    assert_eq!(lines.len(), 30_004);
    assert!(lines[30_002].contains("30000"), "{}", lines[30_002]);
}

#[test]
fn scripts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("script.sql");
    fs::write(&file, "-- two statements\nCREATE VIEW v AS SELECT 7 AS seven;\nSELECT seven FROM v;").unwrap();
    let file = file.to_str().unwrap();

    let given = shell(&["sql", "--format", "csv", "--file", file], "");
    assert_eq!((given.code, given.out.as_str()), (0, "seven\n7\n"), "{}", given.err);

    let given = shell(&["sql", "--format", "csv", "--file", file, "SELECT seven + 1 AS eight FROM v"], "");
    assert_eq!((given.code, given.out.as_str()), (0, "seven\n7\neight\n8\n"), "{}", given.err);

    let given = shell(&["sql", "--format", "csv", "--file", "-"], "SELECT 1 AS a; SELECT 2 AS b");
    assert_eq!((given.code, given.out.as_str()), (0, "a\n1\nb\n2\n"), "{}", given.err);

    let given = shell(&[], "SELECT 1 AS a;");
    assert_eq!(given.code, 0, "{}", given.err);
    assert!(given.out.contains("| 1 |"), "{}", given.out);
}

#[test]
fn errors() {
    #[track_caller]
    fn check(args: &[&str], code: u8, expect: &str) {
        let given = shell(args, "");
        assert_eq!(given.code, code, "{args:?}: {}", given.err);
        assert!(given.err.contains(expect), "{args:?}: {}", given.err);
    }
    check(&["sql", "SELEC 1"], 1, "^");
    check(&["sql", "SELECT * FROM nowhere"], 1, "nowhere");
    check(&["sql", "--file", "no/such/file.sql"], 1, "cannot read `no/such/file.sql`");
    check(&["sql", "--format", "xml", "SELECT 1"], 2, "xml");
    check(&["sql"], 2, "QUERY");
    check(&["squl"], 2, "sql");
    check(&["--memory", "lots", "sql", "SELECT 1"], 1, "lots");
}

#[test]
fn a_failure_ends_the_script_unless_told_to_go_on() {
    let text = "SELECT 1 AS a; SELECT * FROM nowhere; SELECT 2 AS b";
    let given = shell(&["sql", "--format", "csv", text], "");
    assert_eq!((given.code, given.out.as_str()), (1, "a\n1\n"), "{}", given.err);

    let given = shell(&["sql", "--format", "csv", "--keep-going", text], "");
    assert_eq!((given.code, given.out.as_str()), (1, "a\n1\nb\n2\n"), "{}", given.err);
    assert!(given.err.contains("nowhere"));
}

#[test]
fn dialects() {
    let given = shell(&["--dialect", "datafusion", "sql", "--format", "csv", "SELECT 7 / 2 AS q"], "");
    assert_eq!((given.code, given.out.as_str()), (0, "q\n3\n"), "{}", given.err);
}

#[test]
fn help_and_version_are_no_errors() {
    let given = shell(&["--help"], "");
    assert_eq!(given.code, 0);
    assert!(given.out.contains("sql"), "{}", given.out);
    let given = shell(&["--version"], "");
    assert_eq!((given.code, given.out.trim()), (0, concat!("trefoil ", env!("CARGO_PKG_VERSION"))));
}

#[cfg(feature = "serve")]
mod serve {
    use super::shell;
    use std::io::Write;
    use std::net::TcpStream;
    use std::sync::mpsc::{Sender, channel};

    #[test]
    fn what_cannot_be_served() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (empty, wrong) = (at("empty", ""), at("init.sql", "SELECT nothing"));
        let check = |args: &[&str], code: u8, expect: &str| {
            let given = shell(&[&["serve", "--listen", "127.0.0.1:0"], args].concat(), "");
            assert_eq!(given.code, code, "{args:?}: {}", given.err);
            assert!(given.err.contains(expect), "{args:?}: {}", given.err);
        };
        check(&["--token-file", &empty], 1, "the token is empty");
        check(&["--token-file", "no/such/file"], 1, "cannot read");
        check(&["--init", &wrong], 1, "nothing");
        check(&["--tls-cert", &empty], 2, "--tls-key");
        check(&["--tls-cert", &empty, "--tls-key", &empty], 1, "certificate or key");
        let given = shell(&["serve", "--listen", "nowhere"], "");
        assert_eq!(given.code, 1);
        assert!(given.err.contains("`nowhere` is no address"), "{}", given.err);
    }

    /// Hands on what is written.
    struct Lines(Sender<String>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn says_where_it_listens() {
        let (sender, lines) = channel();
        // Serves until the test's process ends.
        std::thread::spawn(move || {
            let args = ["trefoil", "serve", "--listen", "127.0.0.1:0"];
            trefoil_cli::run_with(args, &mut std::io::empty(), &mut Lines(sender), &mut std::io::sink())
        });
        let mut text = String::new();
        while !text.ends_with('\n') {
            text.push_str(&lines.recv().unwrap());
        }
        let address = text.trim().strip_prefix("listening at ").unwrap();
        assert!(TcpStream::connect(address).is_ok(), "{text}");
    }
}
