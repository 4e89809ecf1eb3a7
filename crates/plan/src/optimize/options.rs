//! What `SET trefoil.…` changes.

use datafusion::common::config::{ConfigExtension, ConfigOptions};
use datafusion::common::extensions_options;

extensions_options! {
    /// Which of our rules run, and their thresholds.
    pub(crate) struct OptimizeOptions {
        /// Orders inner joins by estimated cost.
        pub join_order: bool, default = true
        /// Chooses the hashed side of other joins by estimated rows, if `join_order` is on.
        pub outer_sides: bool, default = true
        /// Drops rows that joins rule out while they run where they are read.
        pub row_filters: bool, default = true
        /// Calculates decimals in 64 bits where their digits fit.
        pub small_decimals: bool, default = true
        /// Looks for the pieces of a LIKE pattern instead of making a regular expression of it.
        pub like_pieces: bool, default = true
        /// Finds groups by keys that are packed into one number.
        pub packed_groups: bool, default = true
        /// Those that are merged from partial ones, too.
        pub packed_final_groups: bool, default = false
        /// Spills the groups that give values in parts, instead of in order.
        pub parted_groups: bool, default = true
        /// Bytes from which a table of such groups is cut into small ones; not within a budget of less than eight times as much.
        pub parted_cut: usize, default = 16 << 20
        /// Sorts what does not fit into memory in runs of ours, which a cancelled query leaves at once.
        pub run_sorts: bool, default = true
        /// Reads Parquet files of this machine with a reader of ours, which filters while it decodes.
        pub filtered_scans: bool, default = true
        /// Least rows of a piece of a large file that a worker takes from it at a time; 0 leaves row groups whole.
        pub piece_rows: usize, default = 65_536
        /// Tells scans by that reader which keys joins have hashed, a bit each.
        pub key_bits: bool, default = true
        /// Groups the rows of one side of a join before they are joined.
        pub eager_groups: bool, default = true
        /// Guessed rows of that side from which it is done; 0 is always.
        pub eager_rows: usize, default = 100_000
        /// Makes only those groups that a join with few rows will ask for.
        pub wanted_groups: bool, default = true
        /// Makes groups that a join asks for of the rows that it has anyway.
        pub joined_groups: bool, default = true
        /// Makes groups by a number in whose order files are without an exchange, one piece of the files after another.
        pub clustered_groups: bool, default = true
        /// Guessed groups from which it is done; 0 is always.
        pub clustered_least: usize, default = 500_000
        /// Groups by all columns before it groups by sets of them.
        pub grouping_sets: bool, default = true
        /// Runs equal parts of a plan once.
        pub share_plans: bool, default = true
        /// Those that differ by a filter on their groups, too.
        pub share_alike: bool, default = true
        /// Most steps of a recursive query; 0 is no limit.
        pub recursion_steps: usize, default = 0
        /// Most rows of one.
        pub recursion_rows: usize, default = 0
    }
}

impl ConfigExtension for OptimizeOptions {
    const PREFIX: &'static str = "trefoil";
}

impl OptimizeOptions {
    /// Those of a session; the defaults where there are none.
    pub(crate) fn of(config: &ConfigOptions) -> Self {
        config.extensions.get::<Self>().cloned().unwrap_or_default()
    }
}
