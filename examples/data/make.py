"""Rebuilds the data files of this directory from the packages they come from.

Needs Python with pyarrow and scikit-learn, and the two package archives in one directory:

    npm pack vega-datasets@3.2.1
    pip download --no-deps plotnine==0.15.9
    python examples/data/make.py DIRECTORY_WITH_THE_ARCHIVES

Every input is checked against a digest, so a changed package stops the script instead of changing the data.
"""

import hashlib
import io
import pathlib
import sys
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import sklearn

HERE = pathlib.Path(__file__).resolve().parent
MONTHS = 6
ROWS_PER_MONTH = 50_000

FLIGHTS = ("vega-datasets-3.2.1.tgz", "6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3")
DIAMONDS = ("plotnine-0.15.9-py3-none-any.whl", "36f4526235b3ddd9ea379dd677093ea2ee1b58ab98adec1bde891930283448cd")
BREAST_CANCER = "fed3eb72d0575ef6192293f5093c6e801b1476b577d0386bf4455504522172ed"

MEASURES = [
    "radius", "texture", "perimeter", "area", "smoothness",
    "compactness", "concavity", "concave_points", "symmetry", "fractal_dimension",
]


def checked(data, digest, what):
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        sys.exit(f"{what}: sha256 is {found}, expected {digest}; use the version named in README.md")
    return data


def archive(directory, package):
    name, digest = package
    return io.BytesIO(checked((directory / name).read_bytes(), digest, name))


def flights(directory):
    """Cuts 50,000 rows out of each month at even distances: no randomness, every airport keeps its share."""
    with tarfile.open(fileobj=archive(directory, FLIGHTS)) as tar:
        source = pq.read_table(io.BytesIO(tar.extractfile("package/data/flights-3m.parquet").read()))
    schema = pa.schema([
        ("date", pa.timestamp("us")), ("delay", pa.int64()), ("distance", pa.int64()),
        ("origin", pa.string()), ("destination", pa.string()),
    ])
    source = source.select(schema.names).cast(schema)
    months = [value.month for value in source["date"].to_pylist()]
    target = HERE / "flights"
    target.mkdir(exist_ok=True)
    for month in range(1, MONTHS + 1):
        rows = [row for row, found in enumerate(months) if found == month]
        kept = [rows[i * len(rows) // ROWS_PER_MONTH] for i in range(ROWS_PER_MONTH)]
        table = source.take(pa.array(kept, pa.int64())).combine_chunks()
        pq.write_table(
            table, target / f"2001-{month:02}.parquet", compression="snappy", version="2.6",
            use_dictionary=["delay", "distance", "origin", "destination"], row_group_size=25_000,
            column_encoding={"date": "DELTA_BINARY_PACKED"},
        )


def diamonds(directory):
    """Takes the file as it is in the package."""
    with zipfile.ZipFile(archive(directory, DIAMONDS)) as wheel:
        (HERE / "diamonds.csv").write_bytes(wheel.read("plotnine/data/diamonds.csv"))


def breast_cancer():
    """Keeps the figures as they are written in the package and replaces its first line by column names."""
    path = pathlib.Path(sklearn.__file__).parent / "datasets" / "data" / "breast_cancer.csv"
    lines = checked(path.read_bytes(), BREAST_CANCER, path.name).decode().splitlines()[1:]
    names = [pattern.format(measure) for pattern in ("mean_{}", "{}_error", "worst_{}") for measure in MEASURES]
    header = ",".join(names + ["target"])
    (HERE / "breast_cancer.csv").write_text("\n".join([header, *lines]) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    packages = pathlib.Path(sys.argv[1])
    flights(packages)
    diamonds(packages)
    breast_cancer()
