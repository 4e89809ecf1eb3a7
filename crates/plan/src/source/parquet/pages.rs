//! The pages of a column of a row group.
//!
//! The bytes of the whole column are read at once, or page by page where the rows of a row group are dealt to several
//! workers; pages are unpacked one by one, and those that nobody asks for are passed over. Headers and most codecs are the crate `parquet`'s. Pages packed with Snappy, what most files have, are
//! unpacked here, into memory that the next page uses again instead of fresh memory, which the system would have to clear.

use super::broken;
use super::levels::Valid;
use bytes::Bytes;
use bytes::buf::{Buf, Reader};
use datafusion::arrow::buffer::Buffer;
use datafusion::common::Result;
use datafusion::parquet::basic::{Compression, Encoding};
use datafusion::parquet::column::page::{Page as Packed, PageReader};
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::ColumnChunkMetaData;
use datafusion::parquet::file::reader::{ChunkReader, Length};
use datafusion::parquet::file::serialized_reader::SerializedPageReader;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Take};
use std::ops::Range;
use std::sync::Arc;

/// What a column is read from, as if it were the file.
enum Chunk {
    /// All of its bytes, and where they begin.
    Whole(u64, Bytes),
    /// The bytes of the file from and to; read when they are asked for.
    Parts(Arc<File>, Range<u64>),
}

impl Chunk {
    /// How many bytes there are behind a place.
    fn left(&self, start: u64) -> ParquetResult<u64> {
        let bytes = match self {
            Self::Whole(from, bytes) => *from..*from + bytes.len() as u64,
            Self::Parts(_, bytes) => bytes.clone(),
        };
        match (bytes.start..=bytes.end).contains(&start) {
            true => Ok(bytes.end - start),
            false => Err(ParquetError::EOF(format!("byte {start} is not of this column"))),
        }
    }
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        match self {
            Self::Whole(from, bytes) => from + bytes.len() as u64,
            Self::Parts(_, bytes) => bytes.end,
        }
    }
}

impl ChunkReader for Chunk {
    type T = Header;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let left = self.left(start)?;
        Ok(match self {
            Self::Whole(from, bytes) => {
                Header::Whole(bytes.slice(usize::try_from(start - from).unwrap_or_default()..).reader())
            }
            Self::Parts(file, _) => {
                let bytes = At { file: Arc::clone(file), at: start }.take(left);
                Header::Parts(BufReader::with_capacity(HEADER, bytes))
            }
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let left = self.left(start)?;
        if length as u64 > left {
            return Err(ParquetError::EOF(format!("a page of {length} bytes, {left} are left")));
        }
        Ok(match self {
            Self::Whole(from, bytes) => {
                let at = usize::try_from(start - from).unwrap_or_default();
                bytes.slice(at..at + length)
            }
            Self::Parts(file, _) => {
                let mut bytes = Vec::with_capacity(length.min(MOST_AT_ONCE));
                At { file: Arc::clone(file), at: start }.take(length as u64).read_to_end(&mut bytes)?;
                if bytes.len() < length {
                    return Err(ParquetError::EOF(format!(
                        "a page of {length} bytes, {} are left",
                        bytes.len()
                    )));
                }
                Bytes::from(bytes)
            }
        })
    }
}

/// What the header of a page mostly fits into.
const HEADER: usize = 256;
/// Memory for a page that may not be there: a file says what it likes.
const MOST_AT_ONCE: usize = 1 << 22;

/// Where the header of a page is read from.
enum Header {
    Whole(Reader<Bytes>),
    Parts(BufReader<Take<At>>),
}

impl Read for Header {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Whole(bytes) => bytes.read(into),
            Self::Parts(file) => file.read(into),
        }
    }
}

/// A file from a place on. Columns of one scan share the file and read it in turns, each from its own place.
struct At {
    file: Arc<File>,
    at: u64,
}

impl Read for At {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(into)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Bytes that are ours to use again, as many of them as are a page, or those of the column.
#[derive(Debug)]
pub(super) enum Body {
    Own(Vec<u8>, usize),
    Shared(Bytes),
}

/// Memory that a column has used and will use again.
#[derive(Debug, Default)]
pub(super) struct Spare {
    /// For pages; it keeps its length, because making it longer again would fill it with zeros.
    page: Vec<u8>,
    /// For the column as it is written.
    chunk: Vec<u8>,
}

impl Spare {
    /// Takes the memory of a page that nobody reads any more.
    pub(super) fn recycle(&mut self, body: Body) {
        if let Body::Own(bytes, _) = body
            && bytes.len() > self.page.len()
        {
            self.page = bytes;
        }
    }
}

impl Body {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes, length) => &bytes[..*length],
            Self::Shared(bytes) => bytes,
        }
    }

    pub(super) fn into_buffer(self) -> Buffer {
        match self {
            Self::Own(mut bytes, length) => {
                bytes.truncate(length);
                Buffer::from_vec(bytes)
            }
            Self::Shared(bytes) => Buffer::from(bytes),
        }
    }
}

/// A page as it was written, unpacked.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) body: Body,
    pub(super) encoding: Encoding,
    /// Rows; of a dictionary, its entries.
    pub(super) count: usize,
    /// Where the values begin.
    pub(super) values: usize,
    /// For each row whether it has a value; none if all have.
    pub(super) valid: Option<Valid>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Dictionary,
    Rows(usize),
    End,
}

pub(super) struct Pages {
    reader: SerializedPageReader<Chunk>,
    snappy: Option<snap::raw::Decoder>,
    nullable: bool,
    /// The column as it is written, if it was read as a whole.
    bytes: Bytes,
    spare: Spare,
}

impl Pages {
    /// Reads the column from the file: at once, or page by page if only some of its rows are asked for.
    pub(super) fn open(
        file: &Arc<File>,
        column: &ColumnChunkMetaData,
        rows: usize,
        partly: bool,
        mut spare: Spare,
    ) -> Result<Self> {
        let (from, length) = column.byte_range();
        let mut bytes = Bytes::new();
        let chunk = if partly {
            Chunk::Parts(Arc::clone(file), from..from.saturating_add(length))
        } else {
            let mut memory = std::mem::take(&mut spare.chunk);
            memory.clear();
            memory.reserve_exact(usize::try_from(length).unwrap_or_default());
            At { file: Arc::clone(file), at: from }.take(length).read_to_end(&mut memory)?;
            bytes = Bytes::from(memory);
            Chunk::Whole(from, bytes.clone())
        };
        let chunk = Arc::new(chunk);
        let snappy = column.compression() == Compression::SNAPPY;
        let reader = if snappy {
            // The reader hands the pages over as they are, if it thinks that they are not packed.
            let plain = column.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
            SerializedPageReader::new(chunk, &plain, rows, None)?
        } else {
            SerializedPageReader::new(chunk, column, rows, None)?
        };
        let nullable = column.column_descr().max_def_level() > 0;
        Ok(Self { reader, snappy: snappy.then(snap::raw::Decoder::new), nullable, bytes, spare })
    }

    pub(super) fn peek(&mut self) -> Result<Next> {
        Ok(match self.reader.peek_next_page()? {
            None => Next::End,
            Some(page) if page.is_dict => Next::Dictionary,
            Some(page) => match page.num_rows.or(page.num_levels) {
                Some(rows) => Next::Rows(rows),
                None => return Err(broken("a page does not say how many rows it has".into())),
            },
        })
    }

    pub(super) fn skip(&mut self) -> Result<()> {
        Ok(self.reader.skip_next_page()?)
    }

    /// Takes memory back for the next page.
    pub(super) fn recycle(&mut self, body: Body) {
        self.spare.recycle(body);
    }

    /// The memory, for the next row group. That of the column is not among it while someone holds a part of it.
    pub(super) fn into_spare(self) -> Spare {
        let Self { reader, bytes, mut spare, .. } = self;
        drop(reader);
        if let Ok(bytes) = bytes.try_into_mut() {
            spare.chunk = Vec::from(bytes);
        }
        spare
    }

    pub(super) fn next(&mut self) -> Result<Page> {
        let Some(packed) = self.reader.get_next_page()? else {
            return Err(broken("a column has fewer rows than its row group".into()));
        };
        match packed {
            Packed::DictionaryPage { buf, num_values, encoding, .. } => {
                let body = self.unpack(buf, 0)?;
                Ok(Page { body, encoding, count: num_values as usize, values: 0, valid: None })
            }
            Packed::DataPage { buf, num_values, encoding, def_level_encoding, .. } => {
                let (body, count) = (self.unpack(buf, 0)?, num_values as usize);
                let (valid, values) = match (self.nullable, def_level_encoding) {
                    (false, _) => (None, 0),
                    #[allow(deprecated)]
                    (true, Encoding::BIT_PACKED) => Valid::read_old(body.bytes(), count)?,
                    (true, _) => {
                        let bytes = body.bytes();
                        let length = bytes.first_chunk::<4>().map(|length| u32::from_le_bytes(*length));
                        let end = length.map_or(usize::MAX, |length| (length as usize).saturating_add(4));
                        let Some(levels) = bytes.get(..end) else {
                            return Err(broken("a page ends before its values".into()));
                        };
                        (Valid::read(levels, 4, count)?, end)
                    }
                };
                Ok(Page { body, encoding, count, values, valid })
            }
            Packed::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_nulls,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                ..
            } => {
                let (rep, def) = (rep_levels_byte_len as usize, def_levels_byte_len as usize);
                let count = num_values as usize;
                let levels = buf.get(rep..rep.saturating_add(def));
                let Some(levels) = levels else {
                    return Err(broken("a page ends before its values".into()));
                };
                let valid = match self.nullable && num_nulls > 0 {
                    true => Valid::read(levels, 0, count)?,
                    false => None,
                };
                if self.snappy.is_some() && is_compressed {
                    let body = self.unpack(buf, rep + def)?;
                    return Ok(Page { body, encoding, count, values: 0, valid });
                }
                Ok(Page { body: Body::Shared(buf), encoding, count, values: rep + def, valid })
            }
        }
    }

    /// The bytes from `from` on, unpacked.
    fn unpack(&mut self, packed: Bytes, from: usize) -> Result<Body> {
        let Some(decoder) = &mut self.snappy else { return Ok(Body::Shared(packed)) };
        let packed = &packed[from..];
        if packed.is_empty() {
            return Ok(Body::Own(Vec::new(), 0));
        }
        let damaged = |error: snap::Error| broken(format!("a page is damaged: {error}"));
        let length = snap::raw::decompress_len(packed).map_err(damaged)?;
        // Three bytes stand for at most 64; more is no length, and would be a lot of memory.
        if length / 32 > packed.len() {
            return Err(broken(format!(
                "a page of {} bytes says that it has {length} unpacked",
                packed.len()
            )));
        }
        let mut bytes = std::mem::take(&mut self.spare.page);
        if bytes.len() < length {
            bytes.resize(length, 0);
        }
        decoder.decompress(packed, &mut bytes[..length]).map_err(damaged)?;
        Ok(Body::Own(bytes, length))
    }
}
