//! Small programs on tasks and actors, each in a module of its own.
//!
//! ```console
//! $ cargo run --example tasks                 # all of them
//! $ cargo run --example tasks -- pi words     # some
//! ```

#[allow(dead_code, reason = "tests/programs.rs looks at what is only printed here")]
mod programs;

use std::fmt::Display;
use std::path::Path;

use trefoil::prelude::*;

type Program = fn(&Engine, &Path) -> trefoil::Result<Box<dyn Display>>;

/// A program whose result is printed.
macro_rules! program {
    ($module:ident, $about:literal, |$engine:pat_param, $data:pat_param| $run:expr) => {
        (stringify!($module), $about, |$engine, $data| Ok(Box::new($run?) as Box<dyn Display>))
    };
}

const PROGRAMS: &[(&str, &str, Program)] = &[
    program!(sweep, "a parameter sweep: the best of many models", |engine, data| {
        programs::sweep::run(engine, &data.join("breast_cancer.csv"))
    }),
    program!(words, "words counted over files", |engine, data| programs::words::run(engine, data)),
    program!(tree, "a reduction as a tree of calls, drawn and fused", |engine, _| programs::tree::run(
        engine, 10
    )),
    program!(
        server,
        "a parameter server: an actor with the weights, workers with the data",
        |engine, data| { programs::server::run(engine, &data.join("diamonds.csv"), 200) }
    ),
    program!(crawler, "a crawler that fetches so many pages at once and no more", |engine, _| {
        programs::crawler::run(engine, &programs::crawler::Site::new(500), 8)
    }),
    program!(limiter, "a rate limiter that survives its own panics", |engine, _| programs::limiter::run(
        engine
    )),
    program!(pi, "pi from random points, until the streamed estimates are good enough", |engine, _| {
        programs::pi::run(engine, 0.005)
    }),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| !PROGRAMS.iter().any(|(known, ..)| known == name)) {
        let known: Vec<&str> = PROGRAMS.iter().map(|(name, ..)| *name).collect();
        eprintln!("there is no program `{unknown}`; there are {}", known.join(", "));
        std::process::exit(2);
    }
    if let Err(error) = run(&wanted) {
        eprintln!("{error:?}");
        std::process::exit(1);
    }
}

fn run(wanted: &[String]) -> trefoil::Result<()> {
    let engine = Engine::new()?;
    for (name, about, program) in PROGRAMS {
        if wanted.is_empty() || wanted.iter().any(|one| one == name) {
            println!("--- {name}: {about}\n{}\n", program(&engine, Path::new("examples/data"))?);
        }
    }
    Ok(())
}
