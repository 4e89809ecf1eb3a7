//! Frames: the pandas habits over the same plans as SQL.

use std::fmt;
use std::path::Path;

use trefoil::prelude::*;

use super::{below, numbers};

/// What was inferred of the CSV file.
pub struct Diamonds {
    /// Rows of the file.
    pub rows: usize,
    /// Columns and their inferred types.
    pub types: Vec<(String, String)>,
    /// The first rows, as shown.
    pub preview: String,
}

/// Reads a CSV file and infers its types.
pub async fn diamonds(session: &Session, data: &Path) -> trefoil::Result<Diamonds> {
    let frame = session.read_csv(below(data, "diamonds.csv")).await?;
    let types = frame.dtypes().into_iter().map(|(name, kind)| (name, kind.to_string())).collect();
    Ok(Diamonds { rows: frame.count().await?, types, preview: frame.to_text(5).await? })
}

impl fmt::Display for Diamonds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.preview)
    }
}

/// Mean price by carats, rounded up.
pub struct PriceByCarats {
    /// Carats and mean price, fewest carats first.
    pub prices: Vec<(f64, f64)>,
    /// The result, as shown.
    pub table: String,
}

/// Groups by an expression: the mean price of stones of up to 1, 2, 3, ... carats.
pub async fn price_by_carats(session: &Session, data: &Path) -> trefoil::Result<PriceByCarats> {
    let diamonds = session.read_csv(below(data, "diamonds.csv")).await?;
    let by_carats =
        diamonds.group_by([col("carat").ceil().alias("carats")]).mean(["price"])?.sort(["carats"])?;
    let batches = by_carats.collect().await?;
    let prices = numbers(&batches, "carats")?.into_iter().zip(numbers(&batches, "price")?).collect();
    Ok(PriceByCarats { prices, table: by_carats.to_text(10).await? })
}

impl fmt::Display for PriceByCarats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table)
    }
}

/// The table a model would learn from.
pub struct Features {
    /// Its columns.
    pub columns: Vec<String>,
    /// How many rows carry each dummy.
    pub dummy_sums: Vec<(String, f64)>,
    /// Sum of the label over all rows.
    pub label_sum: f64,
    /// Rows to train on, and their sum of labels.
    pub train: (usize, f64),
    /// Rows to validate on, and their sum of labels.
    pub valid: (usize, f64),
    /// The first rows, as shown.
    pub preview: String,
}

/// Drops the measures of the stone, renames the price to `label`, one-hot encodes the rest, splits.
pub async fn features(session: &Session, data: &Path) -> trefoil::Result<Features> {
    let diamonds = session.read_csv(below(data, "diamonds.csv")).await?;
    let narrow = diamonds.drop(["x", "y", "z"])?.rename([("price", "label")])?;
    let features = narrow.categorize().await?.get_dummies()?;
    let (train, valid) = features.train_test_split(0.2, seed(7))?;

    // What frames make, SQL sees: nothing is copied to register it.
    session.register("features", &features)?;
    let dummies: Vec<String> = features.columns().into_iter().filter(|name| name.contains('_')).collect();
    let shown: Vec<String> =
        ["carat", "label"].map(str::to_owned).into_iter().chain(dummies.iter().take(4).cloned()).collect();
    let sums: Vec<String> =
        dummies.iter().map(|name| format!("sum(CAST(`{name}` AS INT)) AS `{name}`")).collect();
    let sums = session.sql(&format!("SELECT {} FROM features", sums.join(", "))).await?.collect().await?;
    let dummy_sums = dummies
        .into_iter()
        .map(|name| numbers(&sums, &name).map(|sum| (name, sum.first().copied().unwrap_or(f64::NAN))))
        .collect::<trefoil::Result<_>>()?;

    let label_sum = |frame: DataFrame| async move {
        super::one_number(&frame.agg([col("label").sum().alias("label")])?, "label").await
    };
    Ok(Features {
        columns: features.columns(),
        dummy_sums,
        label_sum: label_sum(features.clone()).await?,
        train: (train.count().await?, label_sum(train).await?),
        valid: (valid.count().await?, label_sum(valid).await?),
        preview: features.select(shown)?.to_text(3).await?,
    })
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} columns: {}", self.columns.len(), self.columns.join(", "))?;
        writeln!(f, "{}", self.preview)?;
        write!(
            f,
            "train: {} rows, mean label {:.2}; valid: {} rows, mean label {:.2}",
            self.train.0,
            self.train.1 / self.train.0 as f64,
            self.valid.0,
            self.valid.1 / self.valid.0 as f64
        )
    }
}
