//! Functions that make rows: `explode`, `posexplode`, `inline`, `stack`, `json_tuple` and their kin.

/// Whether a function makes rows.
pub(crate) fn is_generator(name: &str) -> bool {
    let name = name.to_lowercase();
    let base = name.strip_suffix("_outer").unwrap_or(&name);
    matches!(base, "explode" | "posexplode" | "inline" | "stack" | "json_tuple" | "variant_explode")
}
