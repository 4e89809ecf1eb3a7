//! A parameter server: one actor holds the weights of a linear model, worker actors hold shares of the data.
//!
//! In every step each worker fetches the weights, computes the gradient over its rows and pushes it. The
//! calls of a step are written down without waiting: the weights are an argument of the gradient, and the
//! gradient one of the push, so they wait for each other by themselves. `step` ends a step for all.

use std::fmt;
use std::path::Path;

use trefoil::prelude::*;

use super::{number, rows};

/// Weight and bias of `price = weight * carat + bias`, in standardised units.
type Model = (f64, f64);

struct Server {
    model: Model,
    pushed: Vec<Model>,
}

#[actor]
impl Server {
    pub fn model(&self) -> Model {
        self.model
    }

    /// Keeps a worker's gradient until the step ends.
    pub fn push(&mut self, gradient: Model) {
        self.pushed.push(gradient);
    }

    /// Ends a step: moves along the mean of what was pushed.
    pub fn step(&mut self, rate: f64) -> usize {
        let count = self.pushed.len();
        for (weight, bias) in self.pushed.drain(..) {
            self.model.0 -= rate * weight / count as f64;
            self.model.1 -= rate * bias / count as f64;
        }
        count
    }
}

struct Worker {
    rows: Vec<(f64, f64)>,
}

#[actor]
impl Worker {
    /// The gradient of the mean square error over the worker's rows.
    pub fn gradient(&self, (weight, bias): Model) -> Model {
        let count = self.rows.len() as f64;
        let mut gradient = (0.0, 0.0);
        for (x, y) in &self.rows {
            let miss = weight * x + bias - y;
            gradient.0 += miss * x / count;
            gradient.1 += miss / count;
        }
        gradient
    }
}

/// What was learned.
pub struct Learned {
    pub steps: usize,
    /// Price per carat and price at zero carats, in dollars.
    pub model: Model,
}

/// Carat and price of every row.
pub fn carats_and_prices(path: &Path) -> trefoil::Result<Vec<(f64, f64)>> {
    rows(path)?.iter().map(|row| Ok((number(&row[0])?, number(&row[6])?))).collect()
}

fn mean_and_spread(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, (values.map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt())
}

/// Fits prices of diamonds to their carats with four workers.
pub fn run(engine: &Engine, path: &Path, steps: usize) -> trefoil::Result<Learned> {
    const WORKERS: usize = 4;
    let rows = carats_and_prices(path)?;
    let (x, y) = (mean_and_spread(rows.iter().map(|r| r.0)), mean_and_spread(rows.iter().map(|r| r.1)));
    let scaled: Vec<(f64, f64)> =
        rows.iter().map(|(carat, price)| ((carat - x.0) / x.1, (price - y.0) / y.1)).collect();
    let server = engine.actor(Server { model: (0.0, 0.0), pushed: Vec::new() }).name("server").spawn()?;
    let share = scaled.len() / WORKERS;
    let workers = (0..WORKERS)
        .map(|at| engine.actor(Worker { rows: scaled[at * share..(at + 1) * share].to_vec() }).spawn())
        .collect::<trefoil::Result<Vec<_>>>()?;
    for _ in 0..steps {
        let weights = server.model();
        let pushes: Vec<Ref<()>> =
            workers.iter().map(|worker| server.push(worker.gradient(&weights))).collect();
        let pushed = server.step(0.5).get()?;
        debug_assert_eq!(pushed, pushes.len());
    }
    let (weight, bias) = server.model().get()?;
    let slope = weight * y.1 / x.1;
    Ok(Learned { steps, model: (slope, y.0 + bias * y.1 - slope * x.0) })
}

impl fmt::Display for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} steps: price = {:.0} * carat {:+.0}", self.steps, self.model.0, self.model.1)
    }
}
