//! Word count over files: a task per file, merged in pairs as they are done.
//!
//! Merging takes one side by value and borrows the other, so the larger table is moved from task to task and
//! never copied.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use trefoil::prelude::*;

type Counts = HashMap<String, u64>;

/// The words of one text.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The counts of one file.
#[task]
fn count(path: String) -> std::io::Result<Counts> {
    let mut counts = Counts::new();
    for word in words(&std::fs::read_to_string(path)?) {
        *counts.entry(word).or_default() += 1;
    }
    Ok(counts)
}

#[task]
fn merge(mut into: Counts, from: &Counts) -> Counts {
    for (word, count) in from {
        *into.entry(word.clone()).or_default() += count;
    }
    into
}

/// What was counted.
pub struct Words {
    pub files: usize,
    pub counts: Counts,
}

/// The text files of a directory, in order.
pub fn texts(directory: &Path) -> trefoil::Result<Vec<String>> {
    let wrong = |error| trefoil::Error::user(format!("{}: {error}", directory.display()));
    let entries =
        std::fs::read_dir(directory).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let text = |path: &Path| {
        path.extension().is_some_and(|extension| ["md", "py", "csv"].iter().any(|text| extension == *text))
    };
    let paths = entries.into_iter().map(|entry| entry.path()).filter(|path| text(path));
    let mut paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
    paths.sort();
    Ok(paths)
}

/// Counts the words of the text files in a directory.
pub fn run(engine: &Engine, directory: &Path) -> trefoil::Result<Words> {
    let paths = texts(directory)?;
    let files = paths.len();
    let mut level: Vec<Call<Counts>> = paths.into_iter().map(count).collect();
    while level.len() > 1 {
        let mut pairs = level.into_iter();
        level = Vec::new();
        while let Some(left) = pairs.next() {
            level.push(match pairs.next() {
                Some(right) => merge(left, right),
                None => left,
            });
        }
    }
    let counts = match level.pop() {
        Some(all) => engine.block_on(engine.compute(all))?,
        None => Counts::new(),
    };
    Ok(Words { files, counts })
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.counts.values().sum();
        write!(f, "{} words in {} files, {} different; most often", total, self.files, self.counts.len())?;
        let mut most: Vec<(&String, &u64)> = self.counts.iter().collect();
        most.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), *word));
        most.iter().take(5).try_for_each(|(word, count)| write!(f, " {word} ({count})"))
    }
}
