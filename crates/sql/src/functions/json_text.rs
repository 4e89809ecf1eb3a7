//! JSON as a tree that keeps the order of keys and the text of numbers.

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// How deep a tree may be.
const DEPTH: usize = 512;

impl Json {
    /// Reads one value; none if the text is not JSON or nests more than 512 deep.
    pub(crate) fn parse(text: &str) -> Option<Json> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.blank();
        (reader.at == text.len()).then_some(value)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(entries) => entries.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text without blanks.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Json::Number(n) => out.push_str(n),
            Json::Text(text) => quote(text, out),
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// The text of a string as it is, of everything else as JSON.
    pub(crate) fn plain(&self) -> String {
        match self {
            Json::Text(text) => text.clone(),
            other => other.text(),
        }
    }
}

/// A string in quotes.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 32 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blank(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn eat(&mut self, c: char) -> bool {
        self.blank();
        let there = self.rest().starts_with(c);
        self.at += if there { c.len_utf8() } else { 0 };
        there
    }

    fn word(&mut self, word: &str) -> bool {
        let there = self.rest().starts_with(word);
        self.at += if there { word.len() } else { 0 };
        there
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH {
            return None;
        }
        self.blank();
        match self.rest().chars().next()? {
            '{' => {
                self.at += 1;
                let mut entries = Vec::new();
                if self.eat('}') {
                    return Some(Json::Object(entries));
                }
                loop {
                    self.blank();
                    let key = self.string()?;
                    self.eat(':').then_some(())?;
                    entries.push((key, self.value(depth + 1)?));
                    if !self.eat(',') {
                        break;
                    }
                }
                self.eat('}').then_some(Json::Object(entries))
            }
            '[' => {
                self.at += 1;
                let mut items = Vec::new();
                if self.eat(']') {
                    return Some(Json::Array(items));
                }
                loop {
                    items.push(self.value(depth + 1)?);
                    if !self.eat(',') {
                        break;
                    }
                }
                self.eat(']').then_some(Json::Array(items))
            }
            '"' | '\'' => self.string().map(Json::Text),
            't' => self.word("true").then_some(Json::Bool(true)),
            'f' => self.word("false").then_some(Json::Bool(false)),
            'n' => self.word("null").then_some(Json::Null),
            _ => {
                let rest = self.rest();
                let end =
                    rest.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)).unwrap_or(rest.len());
                let number = rest[..end].to_owned();
                let shape = number.trim_start_matches('-');
                if !shape.starts_with(|c: char| c.is_ascii_digit())
                    || shape.len() > 1 && shape.starts_with('0') && shape.as_bytes()[1].is_ascii_digit()
                {
                    return None;
                }
                number.parse::<f64>().ok()?;
                self.at += end;
                Some(Json::Number(number))
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.rest().chars().next().filter(|c| *c == '"' || *c == '\'')?;
        self.at += 1;
        let mut out = String::new();
        loop {
            let c = self.rest().chars().next()?;
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Some(out),
                '\\' => {
                    let escape = self.rest().chars().next()?;
                    self.at += escape.len_utf8();
                    match escape {
                        'n' => out.push('\n'),
                        't' => out.push('\t'),
                        'r' => out.push('\r'),
                        'b' => out.push('\u{8}'),
                        'f' => out.push('\u{c}'),
                        'u' => {
                            let mut code = self.unit()?;
                            if (0xD800..0xDC00).contains(&code) && self.word("\\u") {
                                let low = self.unit()?;
                                code = 0x10000 + (code - 0xD800) * 0x400 + low.checked_sub(0xDC00)?;
                            }
                            out.push(char::from_u32(code).unwrap_or('\u{FFFD}'));
                        }
                        other => out.push(other),
                    }
                }
                c => out.push(c),
            }
        }
    }

    fn unit(&mut self) -> Option<u32> {
        let code = u32::from_str_radix(self.rest().get(..4)?, 16).ok()?;
        self.at += 4;
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(Json::parse(text).map(|j| j.text()).as_deref(), expect, "{text}");
        };
        check(r#" {"b" : [1, 2.50, -3e2], "a": null} "#, Some(r#"{"b":[1,2.50,-3e2],"a":null}"#));
        check(r#""\u00e4\ud83d\ude00\n""#, Some("\"ä😀\\n\""));
        check("[1,]", None);
        check("01", None);
        check("{", None);
        check("", None);
        check(&"[".repeat(100_000), None);
    }
}
