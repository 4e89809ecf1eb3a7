//! The page of functions, made from the functions.

use crate::{functions, outside};

const HEAD: &str = "\
# SQL functions

Made from the code: run `TREFOIL_RECORD=1 cargo test -p trefoil-sql --test it reference` after a change.

Functions of the Spark dialect that trefoil defines with Spark's meaning. A signature names the types that arguments are cast to:
`str`, `bin`, `int`, `long`, `double`, `float`, `bool`, `date`, `ts` (timestamp), `time`; `num` is any number, `bytes` text or
binary, `arr` an array, `any` any type; `[x]` is optional, `[x, ..]` any number of them. Aggregate, window and statistical
functions that are not listed (`sum`, `avg`, `count`, `min`, `max`, `stddev`, `corr`, `regr_..`, `rank`, `lag`, `ntile` and so on)
are DataFusion's. `explode`, `posexplode`, `inline`, `stack`, `json_tuple` and their `_outer` forms make rows, in the select
list, in `LATERAL VIEW` and in `FROM`.

```sql
SELECT transform(sequence(1, 3), x -> x * x) AS squares, try_divide(1, 0) AS nothing;
-- [1,4,9]  NULL
```

";

/// The text of `docs/reference/sql-functions.md`.
///
/// ```
/// assert!(trefoil_sql::function_reference().contains("| `levenshtein(str, str, [int]) -> int` |"));
/// ```
pub fn function_reference() -> String {
    let mut out = HEAD.to_owned();
    let names = functions::names();
    out.push_str(&format!("## The {} functions\n\n| function |\n|---|\n", names.len()));
    for name in names {
        out.push_str(&format!("| `{}` |\n", functions::usage(&name)));
    }
    out.push_str("\n## Left out\n\nRefused with an error of kind `Unsupported` that names the family.\n\n| family | names |\n|---|---|\n");
    for (family, names) in outside::list() {
        out.push_str(&format!("| {family} | {names} |\n"));
    }
    out
}
