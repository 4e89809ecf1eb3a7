//! The variance of a window: updated and reverted value by value (B. P. Welford, 1962).

/// The mean and the sum of squared distances from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    count: i64,
    mean: f64,
    squares: f64,
    odd: i64,
    /// Values whose square is no number any more; taken in, they could not be taken out again.
    huge: i64,
}

/// Above this the sum of squares may overflow.
const HUGE: f64 = 1e150;

impl Spread {
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.odd += 1;
            return;
        }
        if value.abs() > HUGE {
            self.huge += 1;
            return;
        }
        self.count += 1;
        let from = value - self.mean;
        self.mean += from / self.count as f64;
        self.squares += from * (value - self.mean);
    }

    #[inline]
    pub(super) fn take(&mut self, value: f64) {
        if !value.is_finite() {
            self.odd -= 1;
            return;
        }
        if value.abs() > HUGE {
            self.huge -= 1;
            return;
        }
        self.count -= 1;
        if self.count == 0 {
            *self = Spread { odd: self.odd, huge: self.huge, ..Spread::default() };
            return;
        }
        let from = value - self.mean;
        self.mean -= from / self.count as f64;
        self.squares -= from * (value - self.mean);
    }

    #[inline]
    pub(super) fn value(&self) -> Option<f64> {
        match self.count + self.odd + self.huge > 1 {
            false => None,
            true if self.odd > 0 => Some(f64::NAN),
            true if self.huge > 0 => Some(f64::INFINITY),
            true => Some(self.squares / (self.count - 1) as f64),
        }
    }
}
