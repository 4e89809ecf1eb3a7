//! A frame as a table of HTML, for notebooks.

use super::{DataFrame, run, text};
use datafusion::arrow::array::Array;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use std::fmt::Write;
use trefoil_core::{Error, ErrorKind, Result};

impl DataFrame {
    /// The first `n` rows as an HTML table: names, types below, null as an empty cell of class `null`.
    ///
    /// # Errors
    /// As [`DataFrame::collect`].
    ///
    /// ```
    /// use trefoil_plan::Session;
    ///
    /// let session = Session::local()?;
    /// let html = session.block_on(async {
    ///     session.read_csv("../../examples/data/diamonds.csv").await?.to_html(2).await
    /// })?;
    /// assert!(html.starts_with("<table><thead><tr><th>carat<br><small>float64</small></th>"), "{html}");
    /// assert_eq!(html.matches("<tr>").count(), 3);
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    pub async fn to_html(&self, n: usize) -> Result<String> {
        let partitions = self
            .run("to_html", move |frame| async move { run::partitions(frame.limit(0, Some(n))?).await })
            .await?;
        let mut html = String::from("<table><thead><tr>");
        for field in self.schema().fields() {
            let (name, kind) = (escaped(field.name()), escaped(&text::type_name(field.data_type())));
            // writing to a string cannot fail
            let _ = write!(html, "<th>{name}<br><small>{kind}</small></th>");
        }
        html.push_str("</tr></thead><tbody>");
        let options = FormatOptions::default().with_display_error(true);
        let fail = |error: ArrowError| {
            Error::new(ErrorKind::Internal, "to_html", "a column cannot be printed").with_source(error)
        };
        for batch in partitions.into_iter().flatten() {
            let columns =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
            let columns = columns.collect::<Result<Vec<_>, _>>().map_err(fail)?;
            for row in 0..batch.num_rows() {
                html.push_str("<tr>");
                for (values, column) in columns.iter().zip(batch.columns()) {
                    if column.is_null(row) {
                        html.push_str("<td class=\"null\"></td>");
                    } else {
                        let _ = write!(html, "<td>{}</td>", escaped(&values.value(row).to_string()));
                    }
                }
                html.push_str("</tr>");
            }
        }
        html.push_str("</tbody></table>");
        Ok(html)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
