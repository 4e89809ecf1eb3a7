//! What bags of numbers can be asked.

use trefoil_core::Call;

use super::Bag;

/// Numbers that moments are computed of, in `f64`.
pub trait BagNumber: Copy + Send + Sync + 'static {
    /// The number as `f64`, rounded if it has more than 53 bits.
    fn to_f64(self) -> f64;
}

macro_rules! number {
    ($($type:ty)*) => {$(
        impl BagNumber for $type {
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}
number!(i8 i16 i32 i64 u8 u16 u32 u64 usize isize f32 f64);

/// Count, mean and sum of squared deviations.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Welford's update ("Note on a method for calculating corrected sums of squares and products", 1962).
    fn add(mut self, value: f64) -> Self {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
        self
    }

    /// The pairwise update of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for
    /// computing sample variances", 1979).
    fn join(self, other: Self) -> Self {
        if other.count == 0.0 {
            return self;
        }
        let count = self.count + other.count;
        let off = other.mean - self.mean;
        Moments {
            count,
            mean: self.mean + off * other.count / count,
            squares: self.squares + other.squares + off * off * self.count * other.count / count,
        }
    }
}

impl<T: BagNumber> Bag<T> {
    #[track_caller]
    fn moments(&self) -> Call<Moments> {
        self.fold(Moments::default(), |m, x| m.add(x.to_f64()), Moments::join)
    }

    /// The arithmetic mean, `None` of nothing. Dask: `b.mean()`.
    #[track_caller]
    pub fn mean(&self) -> Call<Option<f64>> {
        self.moments().map("mean", |m| (m.count > 0.0).then_some(m.mean))
    }

    /// The variance with `ddof` taken from the count (0: of the items, 1: of a sample), `None` of `ddof`
    /// items or fewer. Dask: `b.var(ddof)`.
    #[track_caller]
    pub fn var(&self, ddof: u32) -> Call<Option<f64>> {
        self.moments().map("var", move |m| {
            let over = m.count - f64::from(ddof);
            (over > 0.0).then(|| m.squares / over)
        })
    }

    /// The standard deviation; see [`var`](Bag::var). Dask: `b.std(ddof)`.
    #[track_caller]
    pub fn std(&self, ddof: u32) -> Call<Option<f64>> {
        self.var(ddof).map("std", |var| var.map(f64::sqrt))
    }
}
