//! How a file is compressed, by the end of its name.

use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

/// Ends of names, as part of the ends that a format has: `.csv.gz`.
pub(super) const ENDS: [(&str, Compression); 4] = [
    (".gz", Compression::Gzip),
    (".bz2", Compression::Bzip2),
    (".xz", Compression::Xz),
    (".zst", Compression::Zstd),
];

pub(super) fn of(file: &Path) -> Compression {
    let name = file.to_string_lossy().to_lowercase();
    ENDS.iter().find(|(end, _)| name.ends_with(end)).map_or(Compression::None, |(_, found)| *found)
}

impl Compression {
    pub(super) fn title(self) -> &'static str {
        match self {
            Compression::None => "plain",
            Compression::Gzip => "gzip",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
        }
    }

    pub(super) fn for_datafusion(self) -> FileCompressionType {
        match self {
            Compression::None => FileCompressionType::UNCOMPRESSED,
            Compression::Gzip => FileCompressionType::GZIP,
            Compression::Bzip2 => FileCompressionType::BZIP2,
            Compression::Xz => FileCompressionType::XZ,
            Compression::Zstd => FileCompressionType::ZSTD,
        }
    }
}
