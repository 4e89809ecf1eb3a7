//! Chunked arrays: lazy, computed chunk by chunk as tasks of the engine.

use std::fmt;
use std::path::Path;

use ndarray::ArrayD;
use trefoil::prelude::*;

use super::{below, numbers};

/// A decomposition.
pub struct Svd {
    /// What was decomposed.
    pub shape: Vec<usize>,
    /// Its elements, row by row, for the check.
    pub matrix: Vec<f64>,
    /// Its singular values, largest first.
    pub singular_values: Vec<f64>,
    /// How many tasks the graph has.
    pub tasks: usize,
}

impl fmt::Display for Svd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first: Vec<String> = self.singular_values.iter().take(6).map(|s| format!("{s:.4}")).collect();
        write!(
            f,
            "{:?} matrix, {} tasks, {} singular values: {} ...",
            self.shape,
            self.tasks,
            self.singular_values.len(),
            first.join(", ")
        )
    }
}

async fn decompose(y: &Array<f64>) -> trefoil::Result<Svd> {
    let (_u, s, _v) = y.svd()?;
    let (matrix, values) = (y.compute().await?, s.compute().await?);
    Ok(Svd {
        shape: y.shape().to_vec(),
        matrix: matrix.iter().copied().collect(),
        singular_values: values.iter().copied().collect(),
        tasks: s.graph()?.node_count(),
    })
}

/// The singular values of `x @ x.T` for a random chunked `x`.
pub async fn random_svd(session: &Session) -> trefoil::Result<Svd> {
    let x = session.array().random_uniform([200, 200], chunks([50, 40]), seed(1))?;
    decompose(&x.dot(&x.t())?.rechunk([200, 20])?).await
}

/// The same for `x[i, j] = sin(i / 10) + cos(j / 5) + i j / 40000`, which anyone can compute.
pub async fn known_svd(session: &Session) -> trefoil::Result<Svd> {
    let x = session.array().from_fn([200, 200], chunks([50, 40]), |at| {
        let (i, j) = (at[0] as f64, at[1] as f64);
        (0.1 * i).sin() + (0.2 * j).cos() + i * j / 40000.0
    })?;
    decompose(&x.dot(&x.t())?.rechunk([200, 20])?).await
}

/// A table as a matrix: 569 tumours by 30 measures, each measure standardised.
pub async fn cancer_svd(session: &Session, data: &Path) -> trefoil::Result<Svd> {
    let table = session.read_csv(below(data, "breast_cancer.csv")).await?;
    let measures = table.drop(["target"])?;
    let batches = measures.collect().await?;
    let columns = measures.columns();
    let mut values = Vec::new();
    for name in &columns {
        values.extend(numbers(&batches, name)?);
    }
    let shape = [columns.len(), values.len() / columns.len().max(1)];
    let table = ArrayD::from_shape_vec(shape.to_vec(), values).map_err(trefoil::Error::user)?;
    let x = session.array().from_ndarray(&table, chunks([30, 100]))?.t();
    let standardised = x.try_sub(&x.mean(0)?)?.try_div(&x.std(0)?)?;
    decompose(&standardised).await
}
