//! Suite `memory`: what spilling costs beside the bare disk, how soon a cancelled query is gone, what
//! recording events costs, and how much memory TPC-H really takes under a budget.
//!
//! | case | trefoil | peer |
//! |---|---|---|
//! | `spill_write` | the store spills one partition of 256 MB | `write`: as many bytes, written front to back in pieces of 1 MiB; `write_crc`: with the same checksum |
//! | `spill_restore` | the partition mapped back, checked and summed | `read`: a file of that size read into memory and summed; `resident`: the batches in memory summed |
//! | `ten_budgets_*` | a stored table of ten budgets, iterated and aggregated | the same table within its budget |
//! | `cancel_*` | from the drop of a running query until its memory is back and its files are gone | |
//! | `events_*` | work with events recorded | `silent`: the same on an engine that records nothing |
//! | `tpch_*` | all 22 queries in a process of their own, with budgets; peak of its resident memory | the same without a limit |
//!
//! Files are written to the system's directory for temporary files and not synced: spill files never are.
//! The answers of the TPC-H runs must be those of the run without a limit.

mod cancel;
mod events;
mod spill;
mod tpch;

use crate::Result;
use crate::arguments::Arguments;
use crate::report::Report;

/// Runs the suite.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(arguments.json.as_deref())?;
    spill::run(arguments, &mut report)?;
    spill::ten_budgets(arguments, &mut report)?;
    cancel::run(arguments, &mut report)?;
    events::run(arguments, &mut report)?;
    tpch::run(arguments, &mut report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_measured() {
        let texts = ["memory", "--repeat", "1", "--workers", "2", "--case", "cancel_generated"];
        run(&Arguments::parse(texts.map(str::to_owned)).unwrap()).unwrap();
    }
}
