//! A parameter sweep: logistic regressions with many settings on one stored table, the best one kept.
//!
//! The table is put into the store once and borrowed by every task. Results are looked at in the order in
//! which they are done; a setting that diverges is an error of its task and of nobody else.

use std::fmt;
use std::path::Path;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use trefoil::prelude::*;

use super::{number, rows};

/// A table split for training and validation: standardised features, and whether the tumour is benign.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    pub train: Vec<(Vec<f64>, f64)>,
    pub valid: Vec<(Vec<f64>, f64)>,
}

/// What is swept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    pub rate: f64,
    pub decay: f64,
}

/// Why a setting gave no model.
#[derive(Clone, Debug, PartialEq)]
pub struct Diverged(pub Setting);

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} diverged", self.0)
    }
}

impl std::error::Error for Diverged {}

/// The share of the validation rows that a model trained with this setting gets right.
#[task]
pub fn accuracy(table: &Table, setting: Setting) -> Result<f64, Diverged> {
    let width = table.train.first().map_or(0, |(row, _)| row.len());
    let (mut weights, mut bias) = (vec![0.0; width], 0.0);
    let count = table.train.len() as f64;
    for _ in 0..40 {
        let (mut gradient, mut shift) = (vec![0.0; width], 0.0);
        for (row, label) in &table.train {
            let miss = probability(row, &weights, bias) - label;
            gradient.iter_mut().zip(row).for_each(|(g, x)| *g += miss * x / count);
            shift += miss / count;
        }
        for (weight, gradient) in weights.iter_mut().zip(gradient) {
            *weight -= setting.rate * (gradient + setting.decay * *weight);
        }
        bias -= setting.rate * shift;
        if !weights.iter().all(|weight| weight.abs() < 1e6) {
            return Err(Diverged(setting));
        }
    }
    let right = |(row, label): &&(Vec<f64>, f64)| (probability(row, &weights, bias) > 0.5) == (*label > 0.5);
    Ok(table.valid.iter().filter(right).count() as f64 / table.valid.len() as f64)
}

fn probability(row: &[f64], weights: &[f64], bias: f64) -> f64 {
    let logit = bias + row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
    1.0 / (1.0 + (-logit).exp())
}

/// What the sweep found.
pub struct Sweep {
    pub tried: usize,
    pub diverged: usize,
    pub best: (Setting, f64),
}

/// The settings that are tried.
pub fn settings() -> Vec<Setting> {
    let decays = [0.0, 0.01, 0.1, 4.0];
    let rates = [0.01, 0.1, 0.5, 2.0, 8.0];
    rates.iter().flat_map(|&rate| decays.iter().map(move |&decay| Setting { rate, decay })).collect()
}

/// Reads the table: every fourth row is for validation.
pub fn table(path: &Path) -> trefoil::Result<Table> {
    let rows = rows(path)?;
    let numbers =
        |row: &Vec<String>| row.iter().map(|cell| number(cell)).collect::<trefoil::Result<Vec<f64>>>();
    let mut rows: Vec<Vec<f64>> = rows.iter().map(numbers).collect::<trefoil::Result<_>>()?;
    let width = rows.first().map_or(0, |row| row.len().saturating_sub(1));
    for column in 0..width {
        let mean = rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64;
        let spread = rows.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / rows.len() as f64;
        rows.iter_mut().for_each(|row| row[column] = (row[column] - mean) / spread.sqrt().max(1e-12));
    }
    let mut table = Table { train: Vec::new(), valid: Vec::new() };
    for (at, mut row) in rows.into_iter().enumerate() {
        let label = row.pop().unwrap_or(0.0);
        let part = if at % 4 == 3 { &mut table.valid } else { &mut table.train };
        part.push((row, label));
    }
    Ok(table)
}

/// Tries every setting.
pub fn run(engine: &Engine, path: &Path) -> trefoil::Result<Sweep> {
    let table = engine.put(table(path)?)?;
    let settings = settings();
    let refs: Vec<Ref<f64>> =
        settings.iter().map(|setting| engine.spawn(accuracy(&table, *setting).name("fit"))).collect();
    let mut sweep = Sweep { tried: settings.len(), diverged: 0, best: (settings[0], 0.0) };
    engine.block_on(async {
        let mut done = engine.as_completed(refs);
        while let Some((place, result)) = done.next().await {
            match result.await {
                // Of equals the first setting, so that the answer does not depend on the order.
                Ok(score) => {
                    let before = settings.iter().position(|setting| *setting == sweep.best.0);
                    let better = score > sweep.best.1;
                    if better || (score == sweep.best.1 && Some(place) < before) {
                        sweep.best = (settings[place], score);
                    }
                }
                Err(error) if error.downcast_ref::<Diverged>().is_some() => sweep.diverged += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(sweep)
    })
}

impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (setting, score) = self.best;
        writeln!(f, "{} settings tried, {} diverged", self.tried, self.diverged)?;
        write!(f, "best: {setting:?} with {:.1} % right", 100.0 * score)
    }
}
