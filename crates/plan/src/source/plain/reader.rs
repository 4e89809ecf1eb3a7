//! A CSV file, or a range of one, into batches, as long as it is plain.
//!
//! A line belongs to the range in which its first byte is. The file is read in blocks; lines that a block holds whole are
//! read from it, what is left of the last one is put before the next block.

use super::cells::{Cells, Layout};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

const BLOCK: u64 = 512 << 10;

/// How a file is read.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// All columns of the file.
    pub(super) schema: SchemaRef,
    /// Those that are read, in their order.
    pub(super) wanted: Vec<usize>,
    pub(super) delimiter: u8,
    pub(super) quote: u8,
    pub(super) batch_rows: usize,
}

/// Batches of a range of a file.
pub(super) struct PlainReader {
    file: File,
    form: Form,
    schema: SchemaRef,
    layout: Layout,
    columns: Vec<Cells>,
    /// The header is still to come.
    header: bool,
    /// Lines that begin from here on are not ours.
    end: u64,
    block: Vec<u8>,
    /// Where in the file the block begins.
    offset: u64,
    /// The next line in the block, and the end of its last whole line.
    at: usize,
    lines: usize,
    /// The first quote in the block.
    quote: Option<usize>,
    /// Whether there are carriage returns in the block.
    returns: bool,
    read_whole: bool,
    /// What goes on where lines are not plain.
    rest: Option<csv::Reader<io::Take<File>>>,
    done: bool,
}

impl PlainReader {
    /// A reader of the lines that begin in `start..end`.
    pub(super) fn new(file: File, form: Form, header: bool, start: u64, end: u64) -> io::Result<Self> {
        let mut places = vec![None; form.schema.fields().len()];
        for (place, at) in form.wanted.iter().enumerate() {
            if let Some(slot) = places.get_mut(*at) {
                *slot = Some(place);
            }
        }
        let fields = form.wanted.iter().map(|at| Arc::clone(&form.schema.fields()[*at]));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = schema.fields().iter();
        let columns = columns.filter_map(|field| Cells::new(field.data_type(), form.batch_rows)).collect();
        let mut reader = PlainReader {
            file,
            schema,
            layout: Layout { delimiter: form.delimiter, places },
            form,
            columns,
            header,
            end,
            block: Vec::new(),
            offset: start.saturating_sub(1),
            at: 0,
            lines: 0,
            quote: None,
            returns: false,
            read_whole: false,
            rest: None,
            done: false,
        };
        reader.file.seek(SeekFrom::Start(reader.offset))?;
        if start > 0 {
            reader.skip_line()?;
        }
        Ok(reader)
    }

    /// Goes to the line behind the next line end.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if let Some(end) = self.block[self.at..self.lines].iter().position(|byte| *byte == b'\n') {
                self.at += end + 1;
                return Ok(());
            }
            if !self.fill()? {
                self.done = true;
                return Ok(());
            }
        }
    }

    /// Reads until there is one more whole line; whether there is.
    fn fill(&mut self) -> io::Result<bool> {
        self.block.drain(..self.at);
        self.offset += self.at as u64;
        let quote = self.form.quote;
        self.quote = match self.quote {
            // the first may have been in a line that was passed over
            Some(old) if old < self.at => self.block.iter().position(|byte| *byte == quote),
            old => old.map(|old| old - self.at),
        };
        self.lines = self.lines.saturating_sub(self.at);
        self.at = 0;
        if self.block.is_empty() {
            self.returns = false;
        }
        while !self.read_whole && self.lines == 0 {
            let before = self.block.len();
            self.read_whole = (&mut self.file).take(BLOCK).read_to_end(&mut self.block)? == 0;
            if self.read_whole && self.block.last().is_some_and(|byte| *byte != b'\n') {
                self.block.push(b'\n');
            }
            let new = &self.block[before..];
            self.returns |= new.contains(&b'\r');
            if self.quote.is_none() && new.contains(&quote) {
                self.quote = new.iter().position(|byte| *byte == quote).map(|at| before + at);
            }
            self.lines = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| before + at + 1);
        }
        Ok(self.lines > 0)
    }

    /// Reads lines until the batch is full or the range ends: the number of rows, or nothing if a line is not plain.
    fn rows(&mut self) -> io::Result<Option<usize>> {
        let mut rows = 0;
        while rows < self.form.batch_rows {
            if self.at == self.lines && !self.fill()? {
                self.done = true;
                break;
            }
            let Ok(text) = std::str::from_utf8(&self.block[self.at..self.lines]) else { return Ok(None) };
            // of the lines at hand those that are ours
            let ours = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            let (begin, mut next) = (self.at, 0);
            while rows < self.form.batch_rows && next < text.len() && begin + next < ours {
                let Some(line) = text.get(next..) else { return Ok(None) };
                let Some(len) = self.layout.line(line, self.returns, &mut self.columns) else {
                    return Ok(None);
                };
                next += len;
                if self.quote.is_some_and(|quote| quote < begin + next) {
                    return Ok(None);
                }
                rows += 1;
            }
            self.at += next;
            if self.at >= ours {
                self.done = true;
                break;
            }
        }
        Ok(Some(rows))
    }

    /// The next line is the header; whether it was plain.
    fn pass_header(&mut self) -> io::Result<bool> {
        if self.lines == 0 && !self.fill()? {
            self.done = true;
            return Ok(true);
        }
        let begin = self.at;
        self.skip_line()?;
        let line = &self.block[begin..self.at];
        let quoted = self.quote.is_some_and(|quote| quote < self.at);
        let empty = line.iter().all(|byte| b"\r\n".contains(byte));
        let lone = line.len() > 2 && line[..line.len() - 2].contains(&b'\r');
        Ok(!quoted && !empty && !lone)
    }

    /// Lets DataFusion's reader go on from this place.
    fn give_up(&mut self, from: u64, header: bool) -> Result<(), ArrowError> {
        let end = match self.end {
            u64::MAX => u64::MAX,
            end => self.line_end(end - 1)?,
        };
        self.file.seek(SeekFrom::Start(from))?;
        let file = self.file.try_clone()?.take(end.saturating_sub(from));
        let reader = csv::ReaderBuilder::new(Arc::clone(&self.form.schema))
            .with_delimiter(self.form.delimiter)
            .with_quote(self.form.quote)
            .with_header(header)
            .with_batch_size(self.form.batch_rows)
            .with_projection(self.form.wanted.clone());
        self.rest = Some(reader.build(file)?);
        Ok(())
    }

    /// The end of the line that this byte is in.
    fn line_end(&mut self, mut from: u64) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(from))?;
        let mut block = Vec::new();
        loop {
            block.clear();
            if (&mut self.file).take(8 << 10).read_to_end(&mut block)? == 0 {
                return Ok(from);
            }
            match block.iter().position(|byte| *byte == b'\n') {
                Some(at) => return Ok(from + at as u64 + 1),
                None => from += block.len() as u64,
            }
        }
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if let Some(rest) = &mut self.rest {
            return rest.next().transpose();
        }
        if std::mem::take(&mut self.header) && !self.pass_header()? {
            self.give_up(0, true)?;
            return self.batch();
        }
        if self.done {
            return Ok(None);
        }
        let from = self.offset + self.at as u64;
        let Some(rows) = self.rows()? else {
            self.give_up(from, false)?;
            return self.batch();
        };
        if rows == 0 {
            return Ok(None);
        }
        let columns = self.columns.iter_mut().map(Cells::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map(Some)
    }
}

impl Iterator for PlainReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batch().transpose();
        // after an error nothing comes
        if !matches!(batch, Some(Ok(_))) {
            (self.done, self.rest) = (true, None);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::compute::concat_batches;
    use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
    use proptest::prelude::*;
    use std::io::Write;

    fn schema() -> SchemaRef {
        let fields = [
            ("n", DataType::Int64),
            ("t", DataType::Utf8),
            ("f", DataType::Float64),
            ("b", DataType::Boolean),
            ("d", DataType::Date32),
            ("v", DataType::Utf8View),
            ("i", DataType::Int32),
            ("m", DataType::Timestamp(TimeUnit::Microsecond, None)),
            ("s", DataType::Timestamp(TimeUnit::Second, None)),
        ];
        Arc::new(Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
    }

    fn all(
        batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
        schema: &SchemaRef,
    ) -> Result<RecordBatch, String> {
        let batches = batches.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        Ok(concat_batches(schema, &batches).unwrap())
    }

    /// The file by Arrow's reader, whole and cut into ranges by ours.
    fn check(
        text: &[u8],
        header: bool,
        wanted: &[usize],
        batch_rows: usize,
        cuts: &[usize],
        quoted_lines: bool,
    ) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        let read = csv::ReaderBuilder::new(schema())
            .with_header(header)
            .with_batch_size(batch_rows)
            .with_projection(wanted.to_vec());
        let form =
            Form { schema: schema(), wanted: wanted.to_vec(), delimiter: b',', quote: b'"', batch_rows };
        let out = Arc::new(schema().project(wanted).unwrap());
        let theirs = all(read.build(text).unwrap(), &out);
        let open = || file.try_clone().unwrap();
        let whole = PlainReader::new(open(), form.clone(), header, 0, u64::MAX).unwrap();
        let ours = all(whole, &out);
        let shown = String::from_utf8_lossy(text);
        // lines are counted from where the reader began
        assert_eq!(ours.is_err(), theirs.is_err(), "{ours:?} {theirs:?} {shown:?}");
        if let (Ok(ours), Ok(theirs)) = (&ours, &theirs) {
            assert_eq!(ours, theirs, "{shown:?}");
        }
        if quoted_lines {
            return;
        }
        let mut ends: Vec<u64> = cuts.iter().map(|cut| (*cut % (text.len() + 1)) as u64).collect();
        ends.sort_unstable();
        ends.push(u64::MAX);
        let mut parts = Vec::new();
        let mut start = 0;
        for end in ends {
            if start < end && start < text.len() as u64 {
                let part = PlainReader::new(open(), form.clone(), header && start == 0, start, end).unwrap();
                parts.extend(part);
            }
            start = end;
        }
        let parts = all(parts.into_iter(), &out);
        assert_eq!(parts.is_err(), theirs.is_err(), "{parts:?} {theirs:?} {shown:?}");
        if let (Ok(parts), Ok(theirs)) = (parts, theirs) {
            assert_eq!(parts, theirs, "{shown:?} cut at {cuts:?}");
        }
    }

    fn line(odd: bool) -> BoxedStrategy<String> {
        let number = prop_oneof![8 => "-?[0-9]{1,5}", 1 => Just(String::new())];
        let text = prop_oneof![6 => "[a-z \u{e9}]{0,14}", 1 => Just(if odd { "\"q,\"\"x\"" } else { "q" }.to_owned())];
        let float = prop_oneof!["-?[0-9]{1,3}\\.[0-9]{1,6}", Just("1e3".to_owned()), Just(String::new())];
        let mask = prop::sample::select(vec!["true", "FALSE", ""]);
        let day = prop::sample::select(vec!["2024-02-29", "1969-12-31", ""]);
        let end = if odd { vec!["\n", "\n", "\n", "\r\n", "\n\n", ",\n"] } else { vec!["\n", "\r\n"] };
        let bad = if odd { "soon" } else { "" };
        let time = prop::sample::select(vec![
            "2024-02-29T01:02:03.5",
            "1969-12-31 23:59:59Z",
            "2024-01-01",
            "",
            bad,
        ]);
        (number, text, float, mask, day, "[a-z]{0,20}", time, prop::sample::select(end))
            .prop_map(|(n, t, f, b, d, v, m, end)| format!("{n},{t},{f},{b},{d},{v},7,{m},{m}{end}"))
            .boxed()
    }

    proptest! {
        #[test]
        fn as_arrow_reads(
            lines in any::<bool>().prop_flat_map(|odd| prop::collection::vec(line(odd), 0..30)),
            header in any::<bool>(),
            wanted in prop::sample::subsequence((0..9).collect::<Vec<_>>(), 0..=9),
            batch_rows in 1..12_usize,
            cuts in prop::collection::vec(any::<usize>(), 0..4),
            open in any::<bool>(),
        ) {
            let mut text = if header { "n,t,f,b,d,v,i,m,s\n".to_owned() } else { String::new() };
            text.extend(lines);
            if open {
                text.truncate(text.trim_end().len());
            }
            check(text.as_bytes(), header, &wanted, batch_rows, &cuts, false);
        }
    }

    #[test]
    fn what_is_not_plain() {
        let each = |text: &[u8], quoted_lines: bool| {
            for batch_rows in [1, 2, 100] {
                check(text, true, &[0, 1, 6, 7], batch_rows, &[3, 17, 30, 44], quoted_lines);
            }
        };
        let head = "n,t,f,b,d,v,i,m,s\n1,a,1,true,2024-01-01,x,1,2024-02-29T01:02:03,\n";
        each(head.as_bytes(), false);
        each(b"", false);
        each(b"n,t,f,b,d,v,i,m,s", false);
        each(b"\"n\",t,f,b,d,v,i,m,s\n1,a,1,true,2024-01-01,x,1,2024-02-29T01:02:03,\n", false);
        each(b"\nn,t,f,b,d,v,i,m,s\n1,a,1,true,2024-01-01,x,1,2024-02-29T01:02:03,\n", false);
        for line in [
            "2,\"a\nb\",1,true,2024-01-01,x,1,2024-02-29T01:02:03,\n3,c,1,true,2024-01-01,x,1,2024-02-29T01:02:03,\n",
            "2,a,1,true,2024-01-01,x\n",
            "2,a,1,true,2024-01-01,x,1,,,2\n",
            "two,a,1,true,2024-01-01,x,1,2024-02-29T01:02:03,\n",
            "2,a,1,true,2024-01-01,x,99999999999,,\n",
            "\n\n2,a,1,true,2024-01-01,x,1,2024-02-29T01:02:03,\n",
            "2,a\r3,1,true,2024-01-01,x,1,2024-02-29T01:02:03,\n",
            "2,a,1,true,2024-01-01,x,+1,,\n",
            "2,a,1,true,2024-01-01,x,1,2024-02-30T01:02:03,\n",
            "99999999999999999999,a,1,true,2024-01-01,x,1,2024-02-29T01:02:03,\n",
        ] {
            each(format!("{head}{line}").as_bytes(), line.contains('"'));
        }
        each(&[head.as_bytes(), b"2,\xff,1,true,2024-01-01,x,1,2024-02-29T01:02:03,\n"].concat(), false);
    }

    #[test]
    fn lines_longer_than_a_block() {
        let long = "x".repeat(BLOCK as usize + 10);
        let text = format!("1,{long},1,,,y,1,,\n2,b,2,,,z,2,,2024-01-01T00:00:00\n");
        check(text.as_bytes(), false, &[0, 1, 5], 10, &[5, 100, BLOCK as usize + 30], false);
    }
}
