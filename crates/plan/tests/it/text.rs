//! Frames and plans as text.

use super::{batch, data, session};

#[test]
fn tables() {
    let session = session();
    session.block_on(async {
        let frame = session.frame_from_batches(vec![batch(8, 3)]).unwrap();
        let two = [
            " n     | s      | f",
            " int64 | string | float64",
            "-------+--------+---------",
            "     8 | text 8 |     4.0",
            "     9 | text 9 |     4.5",
            "3 rows x 3 columns, showing the first 2",
        ];
        assert_eq!(frame.to_text(2).await.unwrap(), two.join("\n"));
        assert!(frame.to_text(3).await.unwrap().ends_with(" text 10 |     5.0\n3 rows x 3 columns"));
        let none = frame.inner().clone().limit(0, Some(0)).unwrap();
        let none = trefoil_plan::DataFrame::new(session.clone(), none).to_text(5).await.unwrap();
        assert!(none.ends_with("\n0 rows x 3 columns"), "{none}");
        let lazy = session.read_csv(data("diamonds.csv")).await.unwrap();
        let lazy = lazy.to_text(1).await.unwrap();
        assert!(lazy.ends_with("\nmore than 1 row x 10 columns, showing the first 1"), "{lazy}");
    });
}

#[test]
fn plans() {
    let session = session();
    session.block_on(async {
        let frame = session.read_csv(data("diamonds.csv")).await.unwrap();
        let plan = frame.explain().await.unwrap();
        assert!(plan.contains("== physical plan ==\nDataSourceExec"), "{plan}");
        let plan = frame.explain_analyze().await.unwrap();
        assert!(plan.starts_with("== 53940 rows in "), "{plan}");
        assert!(plan.contains("\noperator "), "{plan}");
        assert!(plan.contains("\nDataSourceExec  53,940  "), "{plan}");
        assert!(format!("{frame:?}").starts_with("DataFrame(carat: float64, cut: string, "), "{frame:?}");
    });
}
