//! The page of functions is what the code says.

use std::fs;
use std::path::Path;

#[test]
fn the_page_of_functions_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/sql-functions.md");
    let made = trefoil_sql::function_reference();
    if std::env::var_os("TREFOIL_RECORD").is_some() {
        fs::create_dir_all(page.parent().unwrap()).unwrap();
        fs::write(&page, made).unwrap();
        return;
    }
    assert_eq!(fs::read_to_string(page).unwrap(), made, "run with TREFOIL_RECORD=1 to write it anew");
}
