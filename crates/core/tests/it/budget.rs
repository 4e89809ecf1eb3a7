//! The memory budget by itself.

use trefoil_core::{Budget, ErrorKind};

#[test]
fn a_refusal_names_the_consumers_and_reserves_nothing() {
    let budget = Budget::new(1000);
    let stored = budget.reserve("store", 700).unwrap();
    let error = budget.reserve("sort", 400).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert!(error.to_string().contains("largest: store 700 B"), "{error}");
    assert_eq!(budget.reserved(), 700);
    assert!(budget.reserve("sort", usize::MAX).is_err());
    drop(stored);
    assert_eq!(budget.reserved(), 0);
    assert_eq!(budget.peak(), 700);
    assert!(budget.consumers().is_empty());
}
