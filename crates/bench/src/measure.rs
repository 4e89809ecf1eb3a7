//! Timing: peers of a case take turns round by round, so that a disturbance of the machine hits all of them.
//!
//! Per case: one round of each peer to warm up, then rounds in rotating order until there are enough of
//! them and enough time was spent; the value is the median round.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::Result;
use crate::arguments::Arguments;
use crate::report::{Report, Row};

/// Rounds of a case, at least, unless `--repeat` says how many.
const ROUNDS: usize = 7;
/// Time spent on each peer of a case, at least; short rounds are repeated more often.
const TIME: Duration = Duration::from_millis(300);
/// Rounds of a case, at most.
const MOST_ROUNDS: usize = 500;

type Round<'a> = Box<dyn FnMut() -> Result<Duration> + 'a>;

enum Kind {
    /// `ops` operations a round.
    Rate(&'static str),
    /// The round is one call, made `ops` times.
    Latency,
}

/// One piece of work and the peers that do it.
pub struct Case<'a> {
    name: String,
    kind: Kind,
    ops: usize,
    /// What the value counts in a round, if it is not the operations.
    amount: Option<f64>,
    params: Map<String, Value>,
    peers: Vec<(&'static str, Round<'a>)>,
}

impl<'a> Case<'a> {
    /// A case whose rounds do `ops` operations each; the value is operations per second.
    pub fn rate(name: &str, ops: usize, unit: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Rate(unit),
            ops,
            amount: None,
            params: Map::new(),
            peers: Vec::new(),
        }
    }

    /// A case whose rounds are `calls` calls, one after another; the value is calls per second, and the
    /// percentiles of single calls are among the parameters.
    pub fn latency(name: &str, calls: usize) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Latency,
            ops: calls,
            amount: None,
            params: Map::new(),
            peers: Vec::new(),
        }
    }

    /// Sets what the value counts in a round, such as gigabytes, instead of operations.
    pub fn amount(mut self, amount: f64) -> Self {
        self.amount = Some(amount);
        self
    }

    /// Adds a parameter to the row of every peer.
    pub fn param(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a peer; the closure is one round, or one call of a latency.
    pub fn peer(self, name: &'static str, mut work: impl FnMut() -> Result<()> + 'a) -> Self {
        self.timed_peer(name, move || {
            let begin = Instant::now();
            work()?;
            Ok(begin.elapsed())
        })
    }

    /// Adds a peer that says itself how long the measured part took.
    pub fn timed_peer(mut self, name: &'static str, work: impl FnMut() -> Result<Duration> + 'a) -> Self {
        self.peers.push((name, Box::new(work)));
        self
    }

    /// Measures and reports, unless the case was not asked for.
    pub fn run(mut self, arguments: &Arguments, report: &mut Report) -> Result<()> {
        self.peers.retain(|(peer, _)| arguments.wants_peer(peer));
        if !arguments.wants_case(&self.name) || self.peers.is_empty() {
            return Ok(());
        }
        let (least, most) = arguments.repeat.map_or((ROUNDS, MOST_ROUNDS), |count| (count, count));
        let failed = |peer: &str, error| format!("{} of {peer}: {error}", self.name);
        let calls = if matches!(self.kind, Kind::Latency) { self.ops } else { 1 };
        let round = |work: &mut Round<'a>| -> Result<f64> {
            if calls == 1 {
                return Ok(work()?.as_secs_f64());
            }
            let begin = Instant::now();
            for _ in 0..calls {
                work()?;
            }
            Ok(begin.elapsed().as_secs_f64())
        };

        for (peer, work) in &mut self.peers {
            round(work).map_err(|error| failed(peer, error))?;
        }
        let machine = Machine::now();
        let count = self.peers.len();
        let mut rounds = vec![Vec::new(); count];
        let begin = Instant::now();
        for turn in 0..most {
            if turn >= least && begin.elapsed() >= TIME * count as u32 {
                break;
            }
            for step in 0..count {
                let at = (turn + step) % count;
                let (peer, work) = &mut self.peers[at];
                let time = round(work).map_err(|error| failed(peer, error))?;
                rounds[at].push(time);
            }
        }
        let other = machine.and_then(|before| before.other_cpu());

        let mut rows = Vec::new();
        for ((peer, mut work), mut times) in self.peers.into_iter().zip(rounds) {
            times.sort_by(f64::total_cmp);
            let median = percentile(&times, 50.0);
            let ops = self.ops as f64;
            let amount = self.amount.unwrap_or(ops);
            let mut params = self.params.clone();
            params.insert("n".into(), json!(self.ops));
            params.insert("rounds".into(), json!(times.len()));
            params.insert("ns_per_op".into(), json!(rounded(median * 1e9 / ops)));
            params.insert("best".into(), json!(rounded(amount / times[0])));
            params.insert("worst".into(), json!(rounded(amount / times[times.len() - 1])));
            params.insert("workers".into(), json!(arguments.workers));
            if let Some(other) = other {
                params.insert("other_cpu".into(), json!(rounded(other)));
            }
            let unit = match self.kind {
                Kind::Rate(unit) => unit,
                Kind::Latency => {
                    // In a round of their own: reading the clock costs as much as a short call.
                    let mut single = (0..calls)
                        .map(|_| work().map(|time| time.as_secs_f64() * 1e6))
                        .collect::<Result<Vec<f64>>>()?;
                    single.sort_by(f64::total_cmp);
                    params.insert("p50_us".into(), json!(rounded(percentile(&single, 50.0))));
                    params.insert("p99_us".into(), json!(rounded(percentile(&single, 99.0))));
                    "ops/s"
                }
            };
            rows.push(Row::new(peer, &self.name, amount / median, unit, params));
        }
        report.case(rows)
    }
}

/// The `percent`th percentile of sorted values, between the two nearest ones; 0 of none.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = percent.clamp(0.0, 100.0) / 100.0 * last as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

/// The median of values in any order.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, 50.0)
}

/// Four significant digits: more would be noise.
pub fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    if digits >= 0 {
        let scale = 10f64.powi(digits);
        (value * scale).round() / scale
    } else {
        let scale = 10f64.powi(-digits);
        (value / scale).round() * scale
    }
}

/// Processor time used so far by the machine and by this process; Linux only.
pub struct Machine {
    at: Instant,
    busy: f64,
    own: f64,
}

/// Clock ticks a second in the files of `/proc`; the same on every Linux in use.
const TICKS: f64 = 100.0;

impl Machine {
    /// The state now, if the system tells.
    pub fn now() -> Option<Self> {
        let machine = std::fs::read_to_string("/proc/stat").ok()?;
        let fields: Vec<f64> = machine
            .lines()
            .next()?
            .split_whitespace()
            .skip(1)
            .filter_map(|field| field.parse().ok())
            .collect();
        // user, nice, system, (idle, iowait,) irq, softirq
        let busy = [0, 1, 2, 5, 6].iter().filter_map(|&at| fields.get(at)).sum::<f64>();
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        let own: Vec<f64> =
            own.rsplit_once(')')?.1.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
        // user and system, of this process and of the children it has waited for
        let own = own.get(11..15)?.iter().sum::<f64>();
        Some(Self { at: Instant::now(), busy: busy / TICKS, own: own / TICKS })
    }

    /// Processor seconds a second that other processes used since; 0 on a quiet machine.
    pub fn other_cpu(&self) -> Option<f64> {
        let now = Self::now()?;
        let time = now.at.duration_since(self.at).as_secs_f64();
        (time > 0.05).then(|| (((now.busy - self.busy) - (now.own - self.own)) / time).max(0.0))
    }
}

/// The most memory this process ever had, in MB; Linux only.
#[cfg_attr(not(feature = "sql"), allow(dead_code))]
pub fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let rows = [(0.0, 1.0), (50.0, 2.5), (100.0, 4.0), (75.0, 3.25), (200.0, 4.0)];
        for (percent, expected) in rows {
            assert!((percentile(&values, percent) - expected).abs() < 1e-12, "{percent}");
        }
        assert_eq!((percentile(&[], 50.0), percentile(&[7.0], 99.0)), (0.0, 7.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
    }

    #[test]
    fn four_digits() {
        for (value, expected) in
            [(1234.56, 1235.0), (0.012344, 0.01234), (9_876_543.0, 9_877_000.0), (0.0, 0.0)]
        {
            assert_eq!(rounded(value), expected);
        }
    }
}
