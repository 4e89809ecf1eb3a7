//! `regr_sxx`, `regr_syy`, `regr_sxy` and `regr_r2`: sums of products of distances from the means, added in the order
//! that gives Spark's last digits.

use super::aggregate::Plan;
use super::row::Site;
use crate::value::{Value, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

/// Count, the means of x and y, the sums of the products x·x, y·y and x·y of the distances from them, and x·x and y·y
/// once more: Spark rounds these in another way where it correlates.
type Sums = [f64; 8];

fn read(state: &Value) -> Sums {
    let mut sums = Sums::default();
    for (sum, value) in sums.iter_mut().zip(state.list()) {
        *sum = value.float();
    }
    sums
}

fn write(sums: Sums) -> Value {
    Value::List(sums.into_iter().map(Value::Float).collect())
}

/// A row of y and x, as SQL writes them.
fn update(state: &mut Value, row: &[Value], _: &Site) -> Result<()> {
    if row[1].is_null() {
        return Ok(());
    }
    let (x, y) = (row[1].float(), row[0].float());
    let [n, mean_x, mean_y, xx, yy, xy, xx_2, yy_2] = read(state);
    let n = n + 1.0;
    let (dx, dy) = (x - mean_x, y - mean_y);
    let (dx_n, dy_n) = (dx / n, dy / n);
    let (mean_x, mean_y) = (mean_x + dx_n, mean_y + dy_n);
    *state = write([
        n,
        mean_x,
        mean_y,
        xx + dx * (dx - dx_n),
        yy + dy * (dy - dy_n),
        xy + dy * (x - mean_x),
        xx_2 + dx * (x - mean_x),
        yy_2 + dy * (y - mean_y),
    ]);
    Ok(())
}

fn merge(state: &mut Value, other: Value, _: &Site) -> Result<()> {
    let [na, ax, ay, axx, ayy, axy, axx_2, ayy_2] = read(state);
    let [nb, bx, by, bxx, byy, bxy, bxx_2, byy_2] = read(&other);
    let n = na + nb;
    let (dx, dy) = (bx - ax, by - ay);
    let (dx_n, dy_n) = (dx / n, dy / n);
    *state = write([
        n,
        ax + dx_n * nb,
        ay + dy_n * nb,
        axx + bxx + dx * dx_n * na * nb,
        ayy + byy + dy * dy_n * na * nb,
        axy + bxy + dx * dy_n * na * nb,
        axx_2 + bxx_2 + dx * dx_n * na * nb,
        ayy_2 + byy_2 + dy * dy_n * na * nb,
    ]);
    Ok(())
}

/// The functions.
pub(super) fn plans() -> Vec<Plan> {
    let plan = |name, finish| Plan {
        name,
        spec: "double double -> ..",
        result: |_| Ok(DataType::Float64),
        state: |_| Ok(types::list_of(DataType::Float64)),
        update,
        merge,
        finish,
    };
    fn sum<const AT: usize>(state: &Value, _: &Site) -> Result<Value> {
        Ok(if state.is_null() { Value::Null } else { Value::Float(read(state)[AT]) })
    }
    vec![
        plan("regr_sxx", sum::<3>),
        plan("regr_syy", sum::<4>),
        plan("regr_sxy", sum::<5>),
        plan("regr_r2", |state, _| {
            let [_, _, _, _, _, xy, xx, yy] = read(state);
            Ok(match (state.is_null(), xx == 0.0, yy == 0.0) {
                (true, ..) | (_, true, _) => Value::Null,
                (_, _, true) => Value::Float(1.0),
                _ => Value::Float(xy * xy / xx / yy),
            })
        }),
    ]
}
