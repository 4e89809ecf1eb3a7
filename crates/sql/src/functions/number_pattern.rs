//! The formats of `to_char` and `to_number`: `[MI | S] [$] digits with G or , [. or D digits] [PR | MI | S]`.
//!
//! A run of digits that begins with `0` has as many as are written, one that begins with `9` at most as many. What is
//! printed keeps its width, with spaces for what is not there; numbers that do not fit are printed as `#`.

use crate::condition;
use crate::value::decimal;
use datafusion::error::Result;
use trefoil_core::ErrorKind;

/// What stands for the sign of a number.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    /// `MI`: nothing for numbers from 0 on.
    Minus,
    /// `S`.
    Both,
}

/// The digits between two separators.
#[derive(Clone, Copy)]
struct Run {
    count: usize,
    exact: bool,
}

/// A format, read.
pub(super) struct NumberPattern {
    text: String,
    /// `PR`: angle brackets around numbers below 0.
    brackets: bool,
    before: Option<Sign>,
    dollar: bool,
    whole: Vec<Run>,
    point: bool,
    /// Digits behind the point.
    fraction: usize,
    behind: Option<Sign>,
}

#[derive(Clone, Copy, PartialEq)]
enum Token {
    Run(usize, bool),
    Group,
    Point,
    Dollar,
    Sign(Sign),
    Brackets,
    Other(char),
}

impl Token {
    fn name(self) -> String {
        match self {
            Self::Run(..) => "a run of digits".into(),
            Self::Group => "`,` or `G`".into(),
            Self::Point => "`.` or `D`".into(),
            Self::Dollar => "`$`".into(),
            Self::Sign(Sign::Minus) => "`MI`".into(),
            Self::Sign(Sign::Both) => "`S`".into(),
            Self::Brackets => "`PR`".into(),
            Self::Other(c) => format!("`{c}`"),
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut behind, mut out) = (0, false, Vec::new());
    while let Some(c) = chars.get(at) {
        let next = chars.get(at + 1);
        let (token, width) = match c {
            '0' | '9' => {
                let width = chars[at..].iter().take_while(|c| matches!(c, '0' | '9')).count();
                (Token::Run(width, *c == '0' && !behind), width)
            }
            ',' | 'G' => (Token::Group, 1),
            '.' | 'D' => (Token::Point, 1),
            '$' => (Token::Dollar, 1),
            'S' => (Token::Sign(Sign::Both), 1),
            'M' if next == Some(&'I') => (Token::Sign(Sign::Minus), 2),
            'P' if next == Some(&'R') => (Token::Brackets, 2),
            other => (Token::Other(*other), 1),
        };
        behind |= token == Token::Point;
        out.push(token);
        at += width;
    }
    out
}

impl NumberPattern {
    /// Reads a format.
    ///
    /// # Errors
    /// `INVALID_FORMAT` with what is wrong.
    pub(super) fn read(text: &str) -> Result<Self> {
        let wrong = |what: &str, message: String| {
            Err(condition::error(
                ErrorKind::InvalidArgument,
                &format!("INVALID_FORMAT.{what}"),
                "42601",
                format!("the format '{text}' {message}."),
            ))
        };
        let text = text.to_uppercase();
        let tokens = tokens(&text);
        let place = |wanted: fn(&Token) -> bool| tokens.iter().position(wanted);
        let is_run = |token: &Token| matches!(token, Token::Run(..));
        if tokens.is_empty() {
            return wrong("EMPTY", "is empty".into());
        }
        let Some(first) = place(|token| matches!(token, Token::Run(..) | Token::Group)) else {
            return wrong("WRONG_NUM_DIGIT", "has no digit `0` or `9`".into());
        };
        let point = place(|token| *token == Token::Point);
        if let Some(dollar) = place(|token| *token == Token::Dollar) {
            if first < dollar {
                return wrong("CUR_MUST_BEFORE_DIGIT", "has `$` behind digits".into());
            }
            if point.is_some_and(|point| point < dollar) {
                return wrong("CUR_MUST_BEFORE_DEC", "has `$` behind the decimal point".into());
            }
        }
        for (at, token) in tokens.iter().enumerate().filter(|(_, token)| **token == Token::Group) {
            if point.is_some_and(|point| point < at) {
                let message = format!("has {} behind the decimal point", token.name());
                return wrong("THOUSANDS_SEPS_MUST_BEFORE_DEC", message);
            }
            let left = at.checked_sub(1).and_then(|at| tokens.get(at));
            if !left.is_some_and(is_run) || !tokens.get(at + 1).is_some_and(is_run) {
                let message = format!("has {} without digits on both sides", token.name());
                return wrong("CONT_THOUSANDS_SEPS", message);
            }
        }
        let once =
            [Token::Point, Token::Sign(Sign::Both), Token::Sign(Sign::Minus), Token::Dollar, Token::Brackets];
        if let Some(twice) =
            once.iter().find(|token| tokens.iter().filter(|other| other == token).count() > 1)
        {
            return wrong("WRONG_NUM_TOKEN", format!("has {} more than once", twice.name()));
        }
        let mut read = Self {
            text: text.clone(),
            brackets: false,
            before: None,
            dollar: false,
            whole: Vec::new(),
            point: false,
            fraction: 0,
            behind: None,
        };
        // In this order, each of them or not.
        let mut rest = tokens.iter().copied().peekable();
        if let Some(Token::Sign(sign)) = rest.next_if(|token| matches!(token, Token::Sign(_))) {
            read.before = Some(sign);
        }
        read.dollar = rest.next_if_eq(&Token::Dollar).is_some();
        while let Some(token) = rest.next_if(|token| matches!(token, Token::Run(..) | Token::Group)) {
            if let Token::Run(count, exact) = token {
                read.whole.push(Run { count, exact });
            }
        }
        read.point = rest.next_if_eq(&Token::Point).is_some();
        if read.point
            && let Some(Token::Run(count, _)) = rest.next_if(|token| matches!(token, Token::Run(..)))
        {
            read.fraction = count;
        }
        match rest.next_if(|token| matches!(token, Token::Sign(_) | Token::Brackets)) {
            Some(Token::Sign(sign)) => read.behind = Some(sign),
            Some(_) => read.brackets = true,
            None => {}
        }
        match rest.next() {
            Some(token) => wrong("UNEXPECTED_TOKEN", format!("has {} where it cannot stand", token.name())),
            None => Ok(read),
        }
    }

    /// Digits of all numbers of the format, in all and behind the point.
    pub(super) fn digits(&self) -> (usize, usize) {
        (self.room() + self.fraction, self.fraction)
    }

    fn room(&self) -> usize {
        self.whole.iter().map(|run| run.count).sum()
    }

    /// The number that a text is, without its point.
    ///
    /// # Errors
    /// `INVALID_FORMAT.MISMATCH_INPUT`.
    pub(super) fn parse(&self, text: &str) -> Result<i128> {
        self.number(text).ok_or_else(|| {
            condition::error(
                ErrorKind::InvalidArgument,
                "INVALID_FORMAT.MISMATCH_INPUT",
                "42601",
                format!("the text '{text}' does not follow the format '{}'.", self.text),
            )
        })
    }

    fn number(&self, text: &str) -> Option<i128> {
        let mut rest = text;
        let take = |rest: &mut &str, c: char| match rest.strip_prefix(c) {
            Some(after) => {
                *rest = after;
                true
            }
            None => false,
        };
        let open = self.brackets && take(&mut rest, '<');
        let mut negative = false;
        let mut sign = |rest: &mut &str, sign: Option<Sign>| match sign {
            Some(_) if take(rest, '-') => negative = !negative,
            Some(Sign::Both) => {
                take(rest, '+');
            }
            _ => {}
        };
        sign(&mut rest, self.before);
        if self.dollar && !rest.is_empty() {
            rest = rest.strip_prefix('$')?;
        }
        let mut whole = String::new();
        if !self.whole.is_empty() {
            rest = runs(rest, &self.whole, &mut whole)?;
        }
        let mut fraction = String::new();
        if self.point {
            let pointed = rest.strip_prefix('.');
            rest = pointed.unwrap_or(rest);
            if self.fraction > 0 {
                let run = [Run { count: self.fraction, exact: false }];
                let into = if pointed.is_some() { &mut fraction } else { &mut whole };
                rest = runs(rest, &run, into)?;
            }
        }
        sign(&mut rest, self.behind);
        let close = open && rest.strip_prefix('>').is_some();
        if close {
            (rest, negative) = (&rest[1..], !negative);
        }
        if !rest.is_empty() || open != close || whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let number: i128 = format!("{whole}{fraction:0<width$}", width = self.fraction).parse().ok()?;
        Some(if negative { -number } else { number })
    }

    /// The number `n` with `scale` digits behind its point as text.
    pub(super) fn print(&self, n: i128, scale: i8) -> String {
        let negative = n < 0;
        let text = decimal::text(n, scale);
        let text = text.trim_start_matches('-');
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let (room, behind) = (self.room(), self.fraction);
        let (whole, fraction) = if whole.len() > room || fraction.len() > behind {
            ("#".repeat(room), "#".repeat(behind))
        } else {
            (format!("{whole:>room$}"), format!("{fraction:0<behind$}"))
        };
        let mut out = Vec::new();
        if self.brackets && negative {
            out.push('<');
        }
        put_sign(&mut out, self.before, negative);
        if self.dollar {
            out.push('$');
        }
        let mut digits = whole.chars();
        for (index, run) in self.whole.iter().enumerate() {
            if index > 0 {
                match out.last() {
                    Some(last) if last.is_ascii_digit() => out.push(','),
                    _ => put_space(&mut out),
                }
            }
            for digit in digits.by_ref().take(run.count) {
                match digit {
                    ' ' if run.exact => out.push('0'),
                    ' ' => put_space(&mut out),
                    digit => out.push(digit),
                }
            }
        }
        if self.point {
            if let Some(last @ ' ') = out.last_mut() {
                *last = '0';
            }
            out.push('.');
            out.extend(fraction.chars());
        }
        put_sign(&mut out, self.behind, negative);
        if self.brackets {
            drop_point(&mut out);
            match negative {
                true => put_before_spaces(&mut out, '>'),
                false => out.extend([' ', ' ']),
            }
        }
        drop_point(&mut out);
        match out.as_slice() {
            [] | ['+' | '-'] => "0".into(),
            out => out.iter().collect(),
        }
    }
}

/// Takes digits and separators from a text as long as they come, blanks aside; none if they are not those of the runs.
fn runs<'a>(text: &'a str, wanted: &[Run], digits: &mut String) -> Option<&'a str> {
    let mut counts = vec![0_usize];
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        match c {
            c if c.is_whitespace() => {}
            ',' => counts.push(0),
            c if c.is_ascii_digit() => {
                digits.push(c);
                *counts.last_mut()? += 1;
            }
            _ => {
                end = at;
                break;
            }
        }
    }
    let missing = wanted.len().checked_sub(counts.len())?;
    // Runs on the left may be left out.
    let counts = std::iter::repeat_n(0, missing).chain(counts);
    let fits = |(run, count): (&Run, usize)| if run.exact { count == run.count } else { count <= run.count };
    wanted.iter().zip(counts).all(fits).then(|| &text[end..])
}

fn put_sign(out: &mut Vec<char>, sign: Option<Sign>, negative: bool) {
    match sign {
        None => {}
        Some(Sign::Minus) if !negative => out.push(' '),
        Some(_) => {
            drop_point(out);
            put_before_spaces(out, if negative { '-' } else { '+' });
        }
    }
}

/// Puts a character behind the last one that is no space.
fn put_before_spaces(out: &mut Vec<char>, c: char) {
    let at = out.iter().rposition(|c| *c != ' ').map_or(0, |at| at + 1);
    out.insert(at, c);
}

/// Puts a space, before the sign if there is nothing but it yet.
fn put_space(out: &mut Vec<char>) {
    let at = out.iter().rposition(|c| !matches!(c, '+' | '-' | '<')).map_or(0, |at| at + 1);
    out.insert(at, ' ');
}

/// A point without digits behind it is a space.
fn drop_point(out: &mut [char]) {
    if let Some(at) = out.iter().position(|c| *c == '.')
        && matches!(out.get(at + 1), None | Some(' '))
    {
        out[at] = ' ';
    }
}
