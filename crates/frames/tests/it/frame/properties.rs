//! Random small tables, with nulls, on 1, 2 and 7 partitions, against a naive evaluation in memory.
