//! Tasks and actors: refs as arguments, dataflow edges, an ordered actor, waiting for the first few.

use std::fmt;
use std::time::Duration;

use trefoil::prelude::*;

use super::graph::{get_data, sum};

/// The number a text stands for.
#[task]
fn parse(text: &str) -> Result<i64, std::num::ParseIntError> {
    text.parse()
}

/// Twice a number; it never runs if its argument failed.
#[task]
fn double(x: i64) -> i64 {
    2 * x
}

struct Counter {
    n: i64,
}

#[actor]
impl Counter {
    /// A counter that starts at `n`.
    pub fn new(n: i64) -> Self {
        Self { n }
    }

    /// Adds and returns the new count.
    pub fn add(&mut self, by: i64) -> i64 {
        self.n += by;
        self.n
    }
}

/// What the tasks gave.
pub struct Tasks {
    /// The sum of a stored vector, borrowed by the task.
    pub sum: i64,
    /// The actor's answers, in the order of the calls.
    pub counts: Vec<i64>,
    /// How many refs were done when five were waited for, and how many were not waited for.
    pub waited: (usize, usize),
    /// What a failing task told.
    pub failure: String,
}

/// Starts tasks, feeds refs to tasks, calls an actor, waits.
pub async fn tasks(session: &Session) -> trefoil::Result<Tasks> {
    let a: Ref<Vec<i64>> = session.spawn(get_data(7)); // runs now
    let b = session.spawn(sum(&a).cpus(0.5).name("sum")); // a dataflow edge; `sum` borrows the stored value
    let counter = session.actor(Counter::new(0)).name("hits").spawn()?;
    let hits: Vec<Ref<i64>> = (0..10).map(|i| counter.add(i)).collect(); // ordered per caller
    let (ready, rest) = session.wait(&hits, 5, Some(Duration::from_secs(60))).await?;
    let waited = (ready.len(), rest.len());
    let failure = session.spawn(double(parse("seven"))).await.err();
    Ok(Tasks {
        sum: b.await?,
        counts: session.gather(hits).await?,
        waited,
        failure: failure.map(|error| error.to_string()).unwrap_or_default(),
    })
}

impl fmt::Display for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sum of a stored vector, borrowed by the task: {}", self.sum)?;
        writeln!(f, "ten calls of one actor, in order: {:?}", self.counts)?;
        writeln!(f, "wait for 5 of 10: {} ready, {} not waited for", self.waited.0, self.waited.1)?;
        write!(f, "a task that fails says where and why: {}", self.failure)
    }
}
