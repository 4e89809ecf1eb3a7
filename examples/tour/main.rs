//! The tour: SQL, frames, arrays, a delayed graph, tasks, actors and the free borders between them, on real
//! data over one engine.
//!
//! ```console
//! $ cargo run --example tour
//! $ cargo run --example tour -- --data DIR --out DIR
//! ```
//!
//! `--data` names a directory with `flights/` (Parquet files), `diamonds.csv` and `breast_cancer.csv` of the
//! same columns as `examples/data`; `--out` is where pictures and tables are written (default: a directory
//! below the system's one for temporary files).

#[allow(dead_code, reason = "tests/tour.rs reads what the tour only prints")]
mod steps;

use std::path::PathBuf;
use std::time::Instant;

use trefoil::prelude::*;

struct Options {
    data: PathBuf,
    out: PathBuf,
}

const USAGE: &str = "usage: cargo run --example tour -- [--data DIR] [--out DIR]";

fn options() -> Result<Options, String> {
    let mut options = Options {
        data: PathBuf::from("examples/data"),
        out: std::env::temp_dir().join(format!("trefoil-tour-{}", std::process::id())),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let place = match argument.as_str() {
            "--data" => &mut options.data,
            "--out" => &mut options.out,
            "--help" | "-h" => return Err(USAGE.to_owned()),
            other => return Err(format!("unknown argument `{other}`\n{USAGE}")),
        };
        *place = arguments.next().ok_or_else(|| format!("`{argument}` needs a directory\n{USAGE}"))?.into();
    }
    Ok(options)
}

fn main() {
    let options = options().unwrap_or_else(|text| {
        eprintln!("{text}");
        std::process::exit(2);
    });
    if let Err(error) = run(&options) {
        eprintln!("{error:?}");
        std::process::exit(1);
    }
}

fn title(number: u32, text: &str) {
    println!("\n--- {number}. {text} {}", "-".repeat(90usize.saturating_sub(text.len())));
}

fn run(options: &Options) -> trefoil::Result<()> {
    let begin = Instant::now();
    std::fs::create_dir_all(&options.out)
        .map_err(|error| trefoil::Error::user(format!("cannot make {}: {error}", options.out.display())))?;
    let session = Session::local()?;
    println!("{:?}", session.engine());
    session.block_on(async {
        title(1, "SQL: a directory of Parquet files, queried by its path");
        println!("{}", steps::sql::flights(&session, &options.data).await?);
        title(2, "SQL: which origins wait longest");
        println!("{}", steps::sql::slow_origins(&session, &options.data).await?);
        title(3, "Frames: a CSV file, its types inferred");
        println!("{}", steps::frames::diamonds(&session, &options.data).await?);
        title(4, "Frames: group by an expression");
        println!("{}", steps::frames::price_by_carats(&session, &options.data).await?);
        title(5, "Frames: drop, rename, one-hot encode, split");
        println!("{}", steps::frames::features(&session, &options.data).await?);
        title(6, "Arrays: random chunks, x @ x.T, rechunk, SVD");
        println!("{}", steps::arrays::random_svd(&session).await?);
        title(7, "Arrays: the breast-cancer table as a matrix, standardised, its singular values");
        println!("{}", steps::arrays::cancer_svd(&session, &options.data).await?);
        title(8, "A delayed graph: composed, drawn, computed");
        println!("{}", steps::graph::delayed(&session, &options.out).await?);
        title(9, "Tasks: refs as arguments, an ordered actor, wait");
        println!("{}", steps::tasks::tasks(&session).await?);
        title(10, "Borders: frame -> tasks -> SQL, and not a byte copied");
        println!("{}", steps::borders::borders(&session, &options.data, &options.out).await?);
        trefoil::Result::Ok(())
    })?;
    println!(
        "\nThe tour took {:.1} s. Memory budget: {:?}.",
        begin.elapsed().as_secs_f64(),
        session.budget()
    );
    Ok(())
}
